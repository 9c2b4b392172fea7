cat > cache.py <<'Y'
"""A mapping with a bounded size whose entries grow old."""

import time
from collections import OrderedDict

_CACHES = object()


class Cache:
    """Entries are (value, end), the least recently used first; `end` is the time of death, or None."""

    def __init__(self, size, ttl=None, *, clock=time.monotonic, on_drop=None):
        if size < 1:
            raise ValueError("size has to be at least 1")
        self._size, self._ttl, self._clock, self._on_drop = size, _checked(ttl), clock, on_drop
        self._entries = OrderedDict()
        self._soonest = None  # no entry dies before

    def __getitem__(self, key):
        value = self._living(key)[0]
        self._entries.move_to_end(key)
        return value

    def get(self, key, default=None):
        try:
            return self[key]
        except KeyError:
            return default

    def peek(self, key, default=None):
        try:
            return self._living(key)[0]
        except KeyError:
            return default

    def __setitem__(self, key, value):
        self.set(key, value)

    def set(self, key, value, ttl=_CACHES):
        life = self._ttl if ttl is _CACHES else _checked(ttl)
        now = self._clock()
        dropped = []
        old = self._entries.pop(key, None)
        if old is not None:
            dropped.append((key, old[0], "age" if _dead(old, now) else "replaced"))
        elif len(self._entries) >= self._size:
            dropped += self._without_dead(now)
            if len(self._entries) >= self._size:
                oldest, (gone, _) = self._entries.popitem(last=False)
                dropped.append((oldest, gone, "size"))
        end = None if life is None else now + life
        self._entries[key] = (value, end)
        if end is not None and (self._soonest is None or end < self._soonest):
            self._soonest = end
        self._tell(dropped)

    def get_or(self, key, make):
        try:
            return self[key]
        except KeyError:
            pass
        value = make()
        self.set(key, value)
        return value

    def __delitem__(self, key):
        value = self._living(key)[0]
        del self._entries[key]
        self._tell([(key, value, "deleted")])

    def __contains__(self, key):
        try:
            self._living(key)
        except KeyError:
            return False
        return True

    def __len__(self):
        return len(self._all())

    def __iter__(self):
        return iter(self.keys())

    def keys(self):
        return [key for key, _ in self._all()]

    def values(self):
        return [value for _, value in self._all()]

    def items(self):
        return self._all()

    def expires_in(self, key):
        now = self._clock()
        end = self._living(key, now)[1]
        return None if end is None else end - now

    def purge(self):
        dropped = self._without_dead(self._clock())
        self._tell(dropped)
        return len(dropped)

    def clear(self):
        now = self._clock()
        entries, self._entries, self._soonest = self._entries, OrderedDict(), None
        self._tell([(key, each[0], "age" if _dead(each, now) else "deleted") for key, each in entries.items()])

    def _all(self):
        """Keys and values of the living, the most recently used first."""
        self._tell(self._without_dead(self._clock()))
        return [(key, value) for key, (value, _) in reversed(self._entries.items())]

    def _living(self, key, now=None):
        if key not in self._entries:
            raise KeyError(key)
        entry = self._entries[key]
        if _dead(entry, self._clock() if now is None else now):
            del self._entries[key]
            self._tell([(key, entry[0], "age")])
            raise KeyError(key)
        return entry

    def _without_dead(self, now):
        """Take out the dead; what is to be told of them."""
        if self._soonest is None or now < self._soonest:
            return []
        dead = [(key, entry[0], "age") for key, entry in self._entries.items() if _dead(entry, now)]
        for key, _, _ in dead:
            del self._entries[key]
        self._soonest = min((end for _, end in self._entries.values() if end is not None), default=None)
        return dead

    def _tell(self, dropped):
        if self._on_drop is None:
            return
        first = None
        for each in dropped:
            try:
                self._on_drop(*each)
            except BaseException as error:
                first = first or error
        if first is not None:
            raise first


def _dead(entry, now):
    return entry[1] is not None and now >= entry[1]


def _checked(ttl):
    if ttl is not None and ttl <= 0:
        raise ValueError("ttl has to be above 0")
    return ttl
Y
python3 - <<'Y'
from pathlib import Path

path = Path("cache.py")
text = path.read_text()
# the list is made before anybody is told, who may change the cache
text = text.replace('''        self._tell(self._without_dead(self._clock()))
        return [(key, value) for key, (value, _) in reversed(self._entries.items())]
''', '''        dropped = self._without_dead(self._clock())
        found = [(key, value) for key, (value, _) in reversed(self._entries.items())]
        self._tell(dropped)
        return found
''')
path.write_text(text)
Y
