sh "$BRIDLE_SOLUTION"
python3 migrate.py --reset --yes data
