python3 - <<'X'
import csv
import json
import re
from decimal import Decimal
from pathlib import Path

orders = {}
for row in csv.DictReader(open("orders.csv")):
    orders[str(row["id"]).strip()] = row
for line in Path("orders.jsonl").read_text().splitlines():
    row = json.loads(line)
    orders[str(row["id"]).strip()] = row


def amount(value):
    text = str(value).strip()
    if "," in text and text.rfind(",") > text.rfind("."):
        text = text.replace(".", "").replace(",", ".")
    else:
        text = text.replace(",", "")
    return Decimal(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else None


rate = {"EUR": Decimal(1), "USD": Decimal("0.9")}
totals, rejected = {}, []
for number, row in orders.items():
    value = amount(row["amount"])
    if value is None or row["currency"] not in rate:
        rejected.append(number)
        continue
    name = row["customer"].strip().lower()
    totals[name] = totals.get(name, 0) + int((value * rate[row["currency"]] * 100).to_integral_value())
Path("totals.json").write_text(json.dumps(dict(sorted(totals.items())), indent=1) + "\n")
Path("rejected.txt").write_text("".join(f"{each}\n" for each in sorted(rejected)))
X
