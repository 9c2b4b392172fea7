"""Fees for late books. See docs/rules.md."""

PER_DAY = 20
MOST = 500


def fee(days, child=False):
    """The fee in cents for a book that is `days` days late."""
    if days < 0:
        raise ValueError("days")
    amount = days * PER_DAY
    if child:
        amount = amount / 2
    if amount > MOST:
        return MOST
    return amount
