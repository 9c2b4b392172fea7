sh "$BRIDLE_SOLUTION"
sed -i '0,/\] < value:/s//] <= value:/' windows.py
