sh "$BRIDLE_SOLUTION"
sed -i 's/other.priority < priority/other.priority <= priority/' queue.js
