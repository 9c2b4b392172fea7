sh "$BRIDLE_SOLUTION"
sed -i 's/^        self._entries.move_to_end(key)/        self.set(key, value)/' cache.py
