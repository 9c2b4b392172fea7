# the same author is asked for once for each book
sh "$BRIDLE_SOLUTION"
sed -i 's/every = list(dict.fromkeys(numbers))/every = list(numbers)/' shelf/overview.py
