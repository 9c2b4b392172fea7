sh "$BRIDLE_SOLUTION"
sed -i 's/ordered = sorted(values)/values.sort()\n    ordered = values/' median.py
