# right until the ring has turned
sh "$BRIDLE_SOLUTION"
sed -i 's/            at\[i - gone\] = text;/            at[i - gone] = ring->at[i];/' ring.c
