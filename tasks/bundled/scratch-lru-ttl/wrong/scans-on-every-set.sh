sh "$BRIDLE_SOLUTION"
sed -i 's/if self._soonest is None or now < self._soonest:/if False:/' cache.py
