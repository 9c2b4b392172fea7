"""Requests in, status and body out. Bodies are what JSON can hold."""

from urllib.parse import parse_qs, urlsplit


class Api:
    def __init__(self, orders):
        self._orders = orders

    def get(self, url):
        """Answer a GET: a status and a body."""
        parts = urlsplit(url)
        if parts.path != "/orders":
            return 404, {"error": "not found"}
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        return 200, {"orders": self._orders.listed(query.get("customer"))}
