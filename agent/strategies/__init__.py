"""Ways of working: the open-ended loop is agent/loop.py; the others are here."""
