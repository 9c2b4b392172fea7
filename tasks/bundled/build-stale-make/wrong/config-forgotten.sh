sh "$BRIDLE_SOLUTION"
sed -i 's/ tools\/site.conf / /' Makefile
