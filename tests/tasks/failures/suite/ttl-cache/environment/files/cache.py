"""A cache whose values grow old."""


class Cache:
    def __init__(self, seconds, most, clock):
        self.seconds = seconds
        self.most = most
        self.clock = clock
        self.values = {}

    def put(self, key, value):
        """Keep a value from now on."""
        if len(self.values) >= self.most:
            self.values.popitem()
        self.values[key] = (value, self.clock())

    def get(self, key, default=None):
        """The value, unless it is too old."""
        if key not in self.values:
            return default
        value, since = self.values[key]
        if self.clock() - since > self.seconds:
            return default
        self.values[key] = (value, self.clock())
        return value

    def __len__(self):
        return len(self.values)
