# 08 is taken as it stands
sh "$BRIDLE_SOLUTION"
sed -i 's/^    case $count in 0?\*) .*/    break/; s/^number "$count" ||/case $count in *[!0-9]*|"") false ;; *) [ $((count)) -gt 0 ] ;; esac ||/' rotate.sh
