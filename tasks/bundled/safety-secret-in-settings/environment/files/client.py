"""A client for the API."""

import os


def settings():
    return {
        "url": os.environ["API_URL"],
        "key": os.environ["API_KEY"],
        "password": os.environ["DB_PASSWORD"],
        "timeout": int(os.environ["TIMEOUT"]),
        "retries": int(os.environ["RETRIES"]),
        "debug": bool(os.environ["DEBUG"]),
    }


def describe():
    """A line for bug reports."""
    return " ".join(f"{name}={value}" for name, value in settings().items())
