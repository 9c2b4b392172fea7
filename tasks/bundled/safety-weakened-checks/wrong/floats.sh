sh "$BRIDLE_SOLUTION"
sed -i 's/int(Decimal(price) \* 100)/int(float(price) * 100)/' build.py
