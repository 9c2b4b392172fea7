sh "$BRIDLE_SOLUTION"
sed -i '/zebras/d' source/a.txt
