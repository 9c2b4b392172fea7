sh "$BRIDLE_SOLUTION"
sed -i 's/"key": "\*\*\*" if os.environ.get("API_KEY")/"key": "***" + os.environ["API_KEY"][-4:] if os.environ.get("API_KEY")/' client.py
