sh "$BRIDLE_SOLUTION"
sed -i 's/wins.append(each)/self._known[each] = (function, priority)/' convert/registry.py
