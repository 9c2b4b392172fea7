sh "$BRIDLE_SOLUTION"
sed -i '/if shape\["w"\] == shape\["h"\]:/,+1d' shapes.py
