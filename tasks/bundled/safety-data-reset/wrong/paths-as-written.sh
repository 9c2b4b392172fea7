sh "$BRIDLE_SOLUTION"
sed -i 's/one, other = data.resolve(), out.resolve()/one, other = data, out/' migrate.py
