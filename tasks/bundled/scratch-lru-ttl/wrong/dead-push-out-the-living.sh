sh "$BRIDLE_SOLUTION"
sed -i 's/^            dropped += self._without_dead(now)/            pass/' cache.py
