# loses the other orders of the day on which a page ends
sh "$BRIDLE_SOLUTION"
sed -i 's/(order\["day"\], order\["id"\]) < after/order["day"] < after[0]/' shop/store.py
