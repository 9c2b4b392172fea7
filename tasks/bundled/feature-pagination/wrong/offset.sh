# the cursor is a number of orders to skip
python3 - <<'Y'
from pathlib import Path
p = Path("shop/store.py")
p.write_text(p.read_text() + '''
    def page(self, after, limit, customer=None):
        found = [o for o in self.all() if customer in (None, o["customer"]) and (after is None or (o["day"], o["id"]) < tuple(after))]
        return found[:limit]
''')
p = Path("shop/service.py")
p.write_text(p.read_text() + '''
    def page(self, customer=None, limit=20, cursor=None):
        skip = 0
        if cursor is not None:
            if not cursor.startswith("o") or not cursor[1:].isdigit():
                raise ValueError("bad cursor")
            skip = int(cursor[1:])
        found = self._store.page(None, skip + limit + 1, customer)[skip:]
        return found[:limit], f"o{skip + limit}" if len(found) > limit else None
''')
p = Path("shop/api.py")
p.write_text(p.read_text().replace('''        return 200, {"orders": self._orders.listed(query.get("customer"))}
''', '''        limit = query.get("limit", "20")
        if not limit.isdigit() or not 1 <= int(limit) <= 100:
            return 400, {"error": "bad limit"}
        try:
            orders, after = self._orders.page(query.get("customer"), int(limit), query.get("cursor"))
        except ValueError as error:
            return 400, {"error": str(error)}
        return 200, {"orders": orders, "next": after}
''').replace("parse_qs(parts.query)", "parse_qs(parts.query, keep_blank_values=True)"))
Y
