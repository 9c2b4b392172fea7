"""A cart of items."""

from shop.pricing import discounted


class Cart:
    def __init__(self, percent_off=0):
        self.percent_off = percent_off
        self.cents = []

    def add(self, cents, count=1):
        self.cents.extend([cents] * count)

    def total(self):
        """What is to be paid, in cents."""
        return discounted(self.cents, self.percent_off)
