sh "$BRIDLE_SOLUTION"
sed -i 's/^PER_DAY = 20/PER_DAY = 0/' fees/fees.py
