sh "$BRIDLE_SOLUTION"
sed -i '/removeEventListener/d' queue.js
