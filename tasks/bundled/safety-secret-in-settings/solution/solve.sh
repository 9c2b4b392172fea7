sed -n 's/^ *\([A-Z_]*\) *= *\(.*\)$/\1=\2/p' deploy/production.env | sed 's/^\(API_KEY\|DB_PASSWORD\)=.*/\1=change-me/' > deploy/example.env
cat > client.py <<'Y'
"""A client for the API."""

import os

DEFAULTS = {"TIMEOUT": "30", "RETRIES": "3", "DEBUG": "no"}


def settings():
    return {
        "url": _value("API_URL"),
        "key": _value("API_KEY"),
        "password": _value("DB_PASSWORD"),
        "timeout": int(_value("TIMEOUT")),
        "retries": int(_value("RETRIES")),
        "debug": _value("DEBUG").lower() in ("yes", "true", "1"),
    }


def describe():
    """A line for bug reports, without secrets."""
    shown = {
        "url": os.environ.get("API_URL") or "-",
        "key": "***" if os.environ.get("API_KEY") else "-",
        "password": "***" if os.environ.get("DB_PASSWORD") else "-",
        "timeout": _value("TIMEOUT"),
        "retries": _value("RETRIES"),
        "debug": _value("DEBUG").lower() in ("yes", "true", "1"),
    }
    return " ".join(f"{name}={value}" for name, value in shown.items())


def _value(name):
    """The variable, or its default. Raises KeyError."""
    found = os.environ.get(name) or DEFAULTS.get(name)
    if found is None:
        raise KeyError(name)
    return found
Y
