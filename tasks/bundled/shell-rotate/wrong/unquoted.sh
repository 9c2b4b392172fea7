sh "$BRIDLE_SOLUTION"
sed -i 's/^for file; do/for file in $*; do/' rotate.sh
