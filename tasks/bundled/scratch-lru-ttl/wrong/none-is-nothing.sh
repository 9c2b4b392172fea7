sh "$BRIDLE_SOLUTION"
python3 - <<'Y'
from pathlib import Path
p = Path("cache.py")
t = p.read_text()
a, b = t.index("    def get_or"), t.index("    def __delitem__")
p.write_text(t[:a] + '''    def get_or(self, key, make):
        value = self.get(key)
        if value is None:
            value = make()
            self.set(key, value)
        return value

''' + t[b:])
Y
