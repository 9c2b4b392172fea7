"""`[bridle.source]`: a task whose files come from two releases of a package, and are no part of the suite.

    [bridle.source]
    package = "example"
    license = "MIT"
    broken = { version = "1.0.0", sha256 = "…" }     # source archives
    fixed = { version = "1.0.1", sha256 = "…" }
    take = ["example/", "tests/", "README.md"]       # of the broken release: the workspace
    tests = { root = "tests", paths = ["test_it.py"] }    # of the fixed release: the tests
    solution = ["example/it.py"]                     # of the fixed release: the solution (default: locations)
    wheels = [{ name = "six", version = "1.17.0", sha256 = "…" }]

The task's folder then has task.toml and instruction.md; what else lies there (`tests/pytest.ini`, say) is added to
what was fetched, or takes its place. `bridle suite fetch` makes the whole task of it (`tasks/packages/`).
"""

from __future__ import annotations

from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, field_validator

_SHA256 = Field(pattern=r"^[0-9a-f]{64}$")
_NAME = Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$", max_length=100)
_VERSION = Field(pattern=r"^[0-9][0-9A-Za-z.+!_-]*$", max_length=100)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Release(_Strict):
    """A version of a package, and the SHA-256 of its source archive."""

    version: str = _VERSION
    sha256: str = _SHA256


class Wheel(_Strict):
    """A pure-Python wheel that the library or its tests import."""

    name: str = _NAME
    version: str = _VERSION
    sha256: str = _SHA256


class TestFiles(_Strict):
    """Files of the fixed release: `paths` are patterns, as in a .gitignore, below the folder `root`."""

    __test__ = False
    root: str = "tests"
    paths: tuple[str, ...] = Field(min_length=1)

    @field_validator("root")
    @classmethod
    def _root(cls, value: str) -> str:
        return "" if value == "." else _inside(value)


class Source(_Strict):
    """Two releases of `package`, and what of them makes the task.

    `take` are patterns, as in a .gitignore, of what of the broken release becomes the workspace; `solution` the
    paths that the oracle replaces by the fixed release's (where it has none, removes), by default the task's
    `locations`. The content of `wheels` goes into the workspace, at its top, and is protected.
    """

    package: str = _NAME
    license: str
    broken: Release
    fixed: Release
    take: tuple[str, ...] = Field(min_length=1)
    tests: TestFiles
    solution: tuple[str, ...] = ()
    wheels: tuple[Wheel, ...] = ()

    @field_validator("solution")
    @classmethod
    def _solution(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_inside(each) for each in value)


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or str(path) in ("", "."):
        raise ValueError(f"{value!r} is no path inside the source archive")
    return str(path)
