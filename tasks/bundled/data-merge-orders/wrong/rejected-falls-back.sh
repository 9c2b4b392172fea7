# an order that cannot be read does not replace an earlier one that can
sed 's/orders\[str(row\["id"\]).strip()\] = row/key = str(row["id"]).strip()\n    if key not in orders or amount(row["amount"]) is not None:\n        orders[key] = row/; s/^orders = {}/def amount(value):\n    return None if str(value).strip() in ("abc", "n\/a", "None") else 1\n\n\norders = {}/' "$BRIDLE_SOLUTION" > /tmp/wrong-orders.sh
sh /tmp/wrong-orders.sh
