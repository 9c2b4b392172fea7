sh "$BRIDLE_SOLUTION"
sed -i 's/if number "$version" \&\& { above "$version" "$count" || \[ "$version" = "$count" \]; }; then/if [ "$version" = "$count" ]; then/' rotate.sh
