sh "$BRIDLE_SOLUTION"
sed -i 's/ -MMD -MP//' Makefile
