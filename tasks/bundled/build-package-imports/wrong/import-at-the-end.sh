# the version is set before the circle closes
sh "$BRIDLE_SOLUTION"
cat > src/tidemark/__init__.py <<'Y'
"""Tide tables."""

__version__ = "1.4.0"

from tidemark.ports import Port, port
from tidemark.report import report

__all__ = ["Port", "port", "report"]
Y
sed -i 's/from tidemark.version import/from tidemark import/' src/tidemark/formats/__init__.py
rm src/tidemark/version.py
