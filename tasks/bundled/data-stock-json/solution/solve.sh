python3 - <<'Y'
import csv
import json
from decimal import Decimal

found = {}
for house in json.load(open("stock.json"), parse_float=Decimal)["warehouses"]:
    if house.get("closed") is True:
        continue
    items = house["items"] or []
    if isinstance(items, dict):
        items = [{"sku": sku, **rest} for sku, rest in items.items()]
    for item in items:
        if "sku" not in item:
            continue
        key = (item["sku"].strip().upper(), house["name"])
        line = found.setdefault(key, [0, ""])
        line[0] += max(0, int(item.get("qty") or 0))
        price = item.get("price")
        if isinstance(price, dict):
            line[1] = int(price["cents"])
        elif price is not None:
            line[1] = int(Decimal(price) * 100)
value = 0
with open("stock.csv", "w", newline="") as file:
    out = csv.writer(file, lineterminator="\n")
    out.writerow(["sku", "warehouse", "quantity", "cents"])
    for (sku, house), (count, cents) in sorted(found.items()):
        if count:
            out.writerow([sku, house, count, cents])
            value += count * (cents or 0)
open("value.txt", "w").write(f"{value}\n")
Y
