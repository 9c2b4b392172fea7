sh "$BRIDLE_SOLUTION"
python3 - <<'Y'
from pathlib import Path
p = Path("units.py")
p.write_text(p.read_text().replace("    return parse_quantity(text, DURATIONS)", "    for unit in DURATIONS:\n        pass\n    return parse_quantity(text, DURATIONS)"))
Y
