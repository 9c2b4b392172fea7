cat > /tmp/people.py <<'Y'
import json
import unicodedata
from pathlib import Path


def read(raw):
    try:
        text, how = raw.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        text, how = raw.decode("cp1252"), "windows-1252"
    while not text.isascii():
        try:
            text = text.encode("cp1252").decode("utf-8")
        except UnicodeError:
            break
        how = "twice"
    text = text.removeprefix("\ufeff").replace("\u200b", "")
    return unicodedata.normalize("NFC", text), how


people, encodings, head = [], {}, None
for raw in Path("people.csv").read_bytes().split(b"\n"):
    if not raw:
        continue
    text, how = read(raw)
    fields = [field.strip(" \u00a0\t") for field in text.split(";")]
    if head is None:
        head = fields
        continue
    people.append(dict(zip(head, fields)))
    encodings[fields[0]] = how
Path("people.json").write_text(json.dumps(people, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
Path("encodings.json").write_text(json.dumps(encodings) + "\n")
Y
python3 /tmp/people.py
