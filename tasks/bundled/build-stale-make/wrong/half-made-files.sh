sh "$BRIDLE_SOLUTION"
sed -i '/DELETE_ON_ERROR/d' Makefile
