cat > cache.py <<'E'
"""A cache whose values grow old."""


class Cache:
    def __init__(self, seconds, most, clock):
        self.seconds = seconds
        self.most = most
        self.clock = clock
        self.values = {}

    def _tidy(self):
        old = [key for key, (_, since) in self.values.items() if self.clock() - since > self.seconds]
        for key in old:
            del self.values[key]

    def put(self, key, value):
        """Keep a value from now on."""
        self._tidy()
        self.values.pop(key, None)
        if len(self.values) >= self.most:
            del self.values[next(iter(self.values))]
        self.values[key] = (value, self.clock())

    def get(self, key, default=None):
        """The value, unless it is too old."""
        self._tidy()
        if key not in self.values:
            return default
        self.values[key] = self.values.pop(key)
        return self.values[key][0]

    def __len__(self):
        self._tidy()
        return len(self.values)
E
