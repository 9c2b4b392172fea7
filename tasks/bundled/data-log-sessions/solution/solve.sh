cat > /tmp/sessions.py <<'Y'
import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

LINE = re.compile(r'(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)) ([^ ]+) "GET (/[^ "]*)" (\d{3}) (\d+|-)', re.ASCII)
rejected, seen, visits = [], set(), []
for name in ("access-1.log", "access-2.log"):
    for number, raw in enumerate(Path(name).read_bytes().decode().split("\n"), 1):
        line = raw.removesuffix("\r")
        if not line or line.startswith("#"):
            continue
        found = LINE.fullmatch(line)
        try:
            time = datetime.fromisoformat(found[1])
        except (TypeError, ValueError):
            rejected.append({"file": name, "line": number})
            continue
        if line in seen or found[2] == "-":
            continue
        seen.add(line)
        size = 0 if found[5] == "-" else int(found[5])
        visits.append((found[2].lower(), time.astimezone(timezone.utc), found[3].split("?")[0], int(found[4]), size))
groups = []
for visit in sorted(visits, key=lambda visit: visit[:2]):
    last = groups[-1][-1] if groups else None
    if last and last[0] == visit[0] and visit[1] - last[1] <= timedelta(seconds=1800):
        groups[-1].append(visit)
    else:
        groups.append([visit])
shown = "%Y-%m-%dT%H:%M:%SZ"
sessions = [
    {
        "user": group[0][0],
        "start": group[0][1].strftime(shown),
        "end": group[-1][1].strftime(shown),
        "visits": len(group),
        "bytes": sum(visit[4] for visit in group),
        "errors": sum(400 <= visit[3] <= 599 for visit in group),
        "paths": sorted({visit[2] for visit in group}),
        "paid": any(visit[2] == "/pay" and visit[3] < 400 for visit in group),
    }
    for group in groups
]
sessions.sort(key=lambda each: (each["start"], each["user"]))
Path("sessions.json").write_text(json.dumps(sessions, indent=1) + "\n")
Path("rejected.json").write_text(json.dumps(rejected) + "\n")
Y
python3 /tmp/sessions.py
