# an unknown kind comes out as KeyError
sh "$BRIDLE_SOLUTION"
python3 - <<'Y'
from pathlib import Path
path = Path("shapes.py")
head, _ = path.read_text().split("def _kind")
path.write_text(head + 'def _kind(shape):\n    return KINDS[shape["kind"]]\n')
Y
