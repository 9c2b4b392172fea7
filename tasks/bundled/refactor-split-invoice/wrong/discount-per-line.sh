# lines with the same goods stay apart
sh "$BRIDLE_SOLUTION"
sed -i 's/goods = (item.name, item.cents, item.rate)/goods = (item.name, item.cents, item.rate + " " * number)/' invoice.py
sed -i 's/Item(name, count, cents, rate) for/Item(name, count, cents, rate.strip()) for/' invoice.py
