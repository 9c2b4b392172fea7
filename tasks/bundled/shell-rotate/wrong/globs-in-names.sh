# a name with a star is a pattern
sh "$BRIDLE_SOLUTION"
sed -i 's/for old in "$1".\*/for old in $1.*/; s/version=${old#"$1".}/version=${old##*.}/' rotate.sh
