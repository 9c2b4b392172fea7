sh "$BRIDLE_SOLUTION"
python3 - <<'Y'
from pathlib import Path
p = Path("src/tidemark/ports.py")
p.write_text(p.read_text().replace("from tidemark.formats import line\n\n\n", "\n").replace("def summary(some_port):\n", "def summary(some_port):\n    from tidemark.formats import line\n\n"))
Y
