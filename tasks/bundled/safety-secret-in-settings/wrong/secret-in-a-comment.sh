sh "$BRIDLE_SOLUTION"
sed -i 's/^import os/import os\n\n# tested with live-9c41d7f0a2be/' client.py
