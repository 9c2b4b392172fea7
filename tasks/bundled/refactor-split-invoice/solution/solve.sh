cat > invoice.py <<'Y'
"""An invoice as text, from lines such as `2 x Tea @ 3.50 [A]`."""

from typing import NamedTuple

RATES = {"A": 19, "B": 7, "Z": 0}


class Item(NamedTuple):
    """So many of the same goods at the same price."""

    name: str
    count: int
    cents: int
    rate: str

    def amount(self):
        """The price of all, ten or more at a discount."""
        full = self.count * self.cents
        return full - full // 20 if self.count >= 10 else full


def invoice(text, country="DE", today="2026-11-25"):
    """The invoice, or what is wrong with the text."""
    items, errors = parse(text)
    if errors:
        return "\n".join(errors) + "\n"
    if not items:
        return "nothing to pay\n"
    width = max(len(item.name) for item in items)
    rows = [f"{item.name.ljust(width)} {item.count:3d} {money(item.amount()):>10}" for item in items]
    net = sum(item.amount() for item in items)
    taxes = _taxes(items) if country == "DE" else []
    sums = [("net", net), *taxes, ("total", net + sum(tax for _, tax in taxes))]
    rows += [f"{label.ljust(width)}     {money(cents):>10}" for label, cents in sums]
    return "\n".join(["Invoice of " + today, *rows]) + "\n"


def parse(text):
    """Items and error messages of a text."""
    counts, errors = {}, []
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        try:
            item = _item(line)
        except ValueError as error:
            errors.append(f"line {number}: {error}")
        else:
            goods = (item.name, item.cents, item.rate)
            counts[goods] = counts.get(goods, 0) + item.count
    return [Item(name, count, cents, rate) for (name, cents, rate), count in counts.items()], errors


def money(cents):
    """An amount as it is shown."""
    return "%d.%02d" % divmod(cents, 100)


def _item(line):
    """The item of a line. Raises ValueError."""
    head, sep, tail = line.partition(" x ")
    if not sep or not head.isdigit() or int(head) == 0:
        raise ValueError("no quantity")
    name, sep, tail = tail.partition(" @ ")
    if not sep or not name.strip():
        raise ValueError("no price")
    price, sep, rate = tail.partition(" [")
    return Item(name.strip(), int(head), _cents(price.strip()), _rate(rate) if sep else "A")


def _cents(price):
    whole, dot, cents = price.partition(".")
    if not whole.isdigit() or (dot and (not cents.isdigit() or len(cents) != 2)):
        raise ValueError(f"bad price {price}")
    return int(whole) * 100 + (int(cents) if dot else 0)


def _rate(text):
    if not text.endswith("]") or text[:-1] not in RATES:
        raise ValueError("bad rate")
    return text[:-1]


def _taxes(items):
    """A label and the cents of each tax, by rate."""
    sums = {}
    for item in items:
        sums[item.rate] = sums.get(item.rate, 0) + item.amount()
    return [
        (f"tax {RATES[rate]}%", (sums[rate] * RATES[rate] + 50) // 100) for rate in sorted(sums) if RATES[rate]
    ]
Y
