"""How lines look."""

from tidemark import __version__

WIDTH = 12


def line(name, high, low):
    return f"{name:<{WIDTH}}{high:5.1f}{low:5.1f}"


def footer():
    return f"tidemark {__version__}"
