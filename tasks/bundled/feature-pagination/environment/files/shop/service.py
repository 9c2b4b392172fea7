"""What can be asked about orders."""


class Orders:
    def __init__(self, store):
        self._store = store

    def listed(self, customer=None):
        """The orders, or those of one customer, the latest first."""
        return [order for order in self._store.all() if customer in (None, order["customer"])]
