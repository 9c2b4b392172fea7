"""What `bridle demo` fixes: a real bug of a real library, which the embedded model can mend."""

from __future__ import annotations

from tasks.format.source import Release
from tasks.packages.release_pair import ReleasePair

DEMO = ReleasePair(
    package="w3lib",
    broken=Release(version="1.16.0", sha256="cbe45d4defe917562c1cc8ffd7ea6a2b9137a6ed33791df0170cd0bcd1db0052"),
    fixed=Release(version="1.17.0", sha256="d8c654827fcf92ba4d7111f8588d2eff8653c5580c27ca61b1bc7805c080506f"),
    issue=(
        "headers_raw_to_dict loses values. If a header name occurs more than once, its list should contain all of "
        "its values, in order. Lines without a colon should still be skipped."
    ),
    tests=("tests/test_http.py",),
    verify="python -m pytest -q tests/test_http.py",
    requires=("pytest>=8,<10", "six>=1.16,<2"),
)
"""w3lib (BSD): a header given twice kept its last value only."""
