sh "$BRIDLE_SOLUTION"
sed -i 's/if holder is None or holder\[1\] <= priority:/if True:/' convert/registry.py
