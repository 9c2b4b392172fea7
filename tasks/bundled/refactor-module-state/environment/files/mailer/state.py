"""What the whole program shares."""

SETTINGS = {"sender": "noreply@example.org", "limit": 3, "footer": ""}
SENT = []
BLOCKED = set()
