sh "$BRIDLE_SOLUTION"
sed -i 's/if len(found) > limit else None/if len(orders) == limit else None/' shop/service.py
