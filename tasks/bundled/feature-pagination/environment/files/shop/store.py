"""Where orders are kept."""


class Store:
    def __init__(self):
        self._orders = {}
        self._next = 1

    def add(self, customer, cents, day):
        """Keep an order; its number."""
        number, self._next = self._next, self._next + 1
        self._orders[number] = {"id": number, "customer": customer, "cents": cents, "day": day}
        return number

    def remove(self, number):
        self._orders.pop(number, None)

    def all(self):
        """Every order, the latest day first, and of a day the highest number first."""
        return sorted(self._orders.values(), key=lambda order: (order["day"], order["id"]), reverse=True)
