# int() takes what isdigit() refuses
sh "$BRIDLE_SOLUTION"
python3 - <<'Y'
from pathlib import Path
path = Path("invoice.py")
text = path.read_text()
a = text.index("    whole, dot, cents = price"); b = text.index("def _rate")
path.write_text(text[:a] + '''    try:
        return round(float(price) * 100)
    except ValueError:
        raise ValueError(f"bad price {price}") from None


''' + text[b:])
Y
