# the linker is told to look away
sh "$BRIDLE_SOLUTION"
sed -i 's/^extern int numbers_seen;/int numbers_seen;/' src/numbers.h
sed -i '/^int numbers_seen;/d' src/numbers.c
sed -i 's/^CFLAGS = -O1 -Wall/CFLAGS = -O1 -Wall -fcommon/' Makefile
