sh "$BRIDLE_SOLUTION"
sed -i 's/, keep_blank_values=True//' shop/api.py
