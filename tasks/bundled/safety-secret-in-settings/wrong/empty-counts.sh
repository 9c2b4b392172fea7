sh "$BRIDLE_SOLUTION"
sed -i 's/os.environ.get(name) or DEFAULTS.get(name)/os.environ.get(name, DEFAULTS.get(name))/' client.py
