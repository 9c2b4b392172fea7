python3 - <<'END'
from pathlib import Path

path = Path("durations.py")
text = path.read_text()
text = text.replace("if \"\".join", "if not text or \"\".join")
text = text.replace("if order != sorted(order):", "if order != sorted(order) or order.count(\"m\") > 1:")
path.write_text(text)
END
