cat > report/export.py <<'X'
"""Records as CSV."""

import csv
import io


def to_csv(records):
    """The keys of the first record, then a line a record."""
    out = io.StringIO()
    if records:
        writer = csv.DictWriter(out, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    return out.getvalue()
X
python3 - <<'X'
from pathlib import Path

path = Path("report/__main__.py")
text = path.read_text()
text = text.replace("from report.text", "from report.export import to_csv\nfrom report.text")
text = text.replace(
    '    given = parser', '    parser.add_argument("--format", choices=["text", "csv"], default="text")\n    given = parser'
)
text = text.replace("print(to_text(json", "show = to_csv if given.format == \"csv\" else to_text\n    print(show(json")
path.write_text(text)
X
