python3 - <<'Y'
from pathlib import Path

store = Path("shop/store.py")
store.write_text(store.read_text() + '''
    def page(self, after, limit, customer=None):
        """Up to `limit` orders behind the pair `after` of day and number, of one customer or of all."""
        found = (
            order
            for order in self.all()
            if customer in (None, order["customer"]) and (after is None or (order["day"], order["id"]) < after)
        )
        return list(islice(found, limit))
''')
store.write_text(store.read_text().replace('kept."""\n', 'kept."""\n\nfrom itertools import islice\n', 1))

service = Path("shop/service.py")
service.write_text(service.read_text().replace('orders."""\n', 'orders."""\n\nimport base64\nimport re\n', 1) + '''
    def page(self, customer=None, limit=20, cursor=None):
        """A page of orders, and the cursor for what is behind it. Raises ValueError("bad cursor")."""
        after = None if cursor is None else _place(cursor)
        found = self._store.page(after, limit + 1, customer)
        orders = found[:limit]
        return orders, _cursor(orders[-1]) if len(found) > limit else None


def _cursor(order):
    text = f"{order['day']} {order['id']}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _place(cursor):
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        text = ""
    found = re.fullmatch(r"([0-9-]+) ([0-9]+)", text)
    if found is None:
        raise ValueError("bad cursor")
    return found[1], int(found[2])
''')

api = Path("shop/api.py")
api.write_text(api.read_text().replace("from urllib", "import re\nfrom urllib").replace("parse_qs(parts.query)", "parse_qs(parts.query, keep_blank_values=True)").replace('''        return 200, {"orders": self._orders.listed(query.get("customer"))}
''', '''        limit = query.get("limit", "20")
        if not re.fullmatch(r"[0-9]{1,9}", limit) or not 1 <= int(limit) <= 100:
            return 400, {"error": "bad limit"}
        customer = query.get("customer") or None
        try:
            orders, after = self._orders.page(customer, int(limit), query.get("cursor"))
        except ValueError as error:
            return 400, {"error": str(error)}
        return 200, {"orders": orders, "next": after}
'''))
Y
