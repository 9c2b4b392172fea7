# the oldest is freed before the new one is copied
sh "$BRIDLE_SOLUTION"
python3 - <<'Y'
from pathlib import Path
p = Path("ring.c")
t = p.read_text()
t = t.replace("        free(ring->at[ring->first]);\n", "").replace("    size_t size = strlen(text) + 1;\n", "    if (ring->count == ring->room)\n        free(ring->at[ring->first]);\n    size_t size = strlen(text) + 1;\n")
p.write_text(t)
Y
