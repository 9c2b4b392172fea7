"""Prices, in cents."""


def discounted(cents, percent_off):
    """The sum of `cents` less `percent_off` per cent."""
    return sum(each * (100 - percent_off) // 100 for each in cents)


def with_tax(cents, percent):
    """`cents` and the tax on it, rounded half up."""
    return cents + (cents * percent + 50) // 100
