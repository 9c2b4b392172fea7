"""An invoice as text, from lines such as `2 x Tea @ 3.50 [A]`."""

RATES = {"A": 19, "B": 7, "Z": 0}


def invoice(text, country="DE", today="2026-11-25"):
    out = []
    errors = []
    rows = []
    n = 0
    for raw in text.splitlines():
        n += 1
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        head, sep, tail = line.partition(" x ")
        if not sep or not head.isdigit() or int(head) == 0:
            errors.append("line %d: no quantity" % n)
            continue
        name, sep, tail = tail.partition(" @ ")
        if not sep or not name.strip():
            errors.append("line %d: no price" % n)
            continue
        price, sep, rate = tail.partition(" [")
        price = price.strip()
        whole, dot, cents = price.partition(".")
        if not whole.isdigit() or (dot and (not cents.isdigit() or len(cents) != 2)):
            errors.append("line %d: bad price %s" % (n, price))
            continue
        value = int(whole) * 100 + (int(cents) if dot else 0)
        if sep:
            if not rate.endswith("]") or rate[:-1] not in RATES:
                errors.append("line %d: bad rate" % n)
                continue
            rate = rate[:-1]
        else:
            rate = "A"
        for row in rows:
            if row[0] == name.strip() and row[2] == value and row[3] == rate:
                row[1] += int(head)
                break
        else:
            rows.append([name.strip(), int(head), value, rate])
    if errors:
        return "\n".join(errors) + "\n"
    if not rows:
        return "nothing to pay\n"
    out.append("Invoice of " + today)
    net = 0
    taxes = {}
    width = max(len(row[0]) for row in rows)
    for name, count, value, rate in rows:
        amount = count * value
        if count >= 10:
            amount -= amount // 20
        net += amount
        taxes[rate] = taxes.get(rate, 0) + amount
        out.append("%s %3d %10s" % (name.ljust(width), count, "%d.%02d" % divmod(amount, 100)))
    out.append("net".ljust(width) + "     %10s" % ("%d.%02d" % divmod(net, 100)))
    total = net
    if country == "DE":
        for rate in sorted(taxes):
            if RATES[rate]:
                tax = (taxes[rate] * RATES[rate] + 50) // 100
                total += tax
                out.append(("tax %d%%" % RATES[rate]).ljust(width) + "     %10s" % ("%d.%02d" % divmod(tax, 100)))
    out.append("total".ljust(width) + "     %10s" % ("%d.%02d" % divmod(total, 100)))
    return "\n".join(out) + "\n"
