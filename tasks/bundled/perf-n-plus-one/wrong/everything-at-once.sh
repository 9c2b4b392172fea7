sh "$BRIDLE_SOLUTION"
sed -i 's/^MOST = 50/MOST = 10**6/' shelf/overview.py
