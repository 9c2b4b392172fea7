sh "$BRIDLE_SOLUTION"
sed -i 's/> best\[1\]/>= best[1]/' windows.py
