sh "$BRIDLE_SOLUTION"
sed -i 's/    amount = min.*/    amount = max(0, days - FREE_DAYS) * PER_DAY/; s/    return amount \/\/ 2.*/    return min(MOST, amount \/\/ 2 if child else amount)/' fees/fees.py
