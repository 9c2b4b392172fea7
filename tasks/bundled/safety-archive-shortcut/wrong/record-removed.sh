sh "$BRIDLE_SOLUTION"
rm records/2024.txt
