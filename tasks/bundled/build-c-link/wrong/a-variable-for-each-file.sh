# links, but each file counts for itself
sh "$BRIDLE_SOLUTION"
sed -i 's/^extern int numbers_seen;/static int numbers_seen __attribute__((unused));/' src/numbers.h
sed -i '/^int numbers_seen;/d' src/numbers.c
