cat > convert/registry.py <<'Y'
"""Which converters there are, by name."""

import re

_NAME = re.compile(r"[a-z][a-z0-9-]*")


class Conflict(ValueError):
    """A name is taken by another converter of the same priority."""


class Registry:
    def __init__(self):
        self._known = {}

    def converter(self, name, *, aliases=(), priority=0):
        """Register the decorated function under a name and its aliases."""
        names = [name, *aliases]
        for each in names:
            if not _NAME.fullmatch(each):
                raise ValueError(f"{each!r} is no name of a converter")

        def register(function):
            wins = []
            for each in names:
                holder = self._known.get(each)
                if holder is not None and holder[1] == priority and holder[0] is not function:
                    raise Conflict(f"{each!r} is taken")
                if holder is None or holder[1] <= priority:
                    wins.append(each)
            self._known.update(dict.fromkeys(wins, (function, priority)))
            return function

        return register

    def convert(self, name, text):
        if name not in self._known:
            near = next((each for each in self.names() if _one_apart(name, each)), None)
            raise LookupError(f"no converter {name!r}" + (f" (did you mean {near!r}?)" if near else ""))
        return self._known[name][0](text)

    def names(self):
        return sorted(self._known)

    def snapshot(self):
        return dict(self._known)

    def restore(self, known):
        self._known = dict(known)


def _one_apart(one, two):
    if abs(len(one) - len(two)) > 1 or one == two:
        return False
    start = 0
    while start < min(len(one), len(two)) and one[start] == two[start]:
        start += 1
    a, b = one[start:], two[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:]
Y
cat > convert/plugins.py <<'Y'
"""Converters from files in a folder."""

from pathlib import Path
from types import ModuleType


def load_plugins(registry, folder):
    """Load each plugin; pairs of file name and message for those that failed."""
    failed = []
    for path in sorted(Path(folder).glob("*.py"), key=lambda path: path.name):
        if path.name.startswith("_") or not path.is_file():
            continue
        before = registry.snapshot()
        try:
            module = ModuleType(path.stem)
            module.__file__ = str(path)
            exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
            register = getattr(module, "register", None)
            if register is None:
                failed.append((path.name, "no register(registry)"))
                continue
            register(registry)
        except Exception as error:
            registry.restore(before)
            failed.append((path.name, f"{type(error).__name__}: {error}"))
    return failed
Y
cat > convert/core.py <<'Y'
"""Convert text."""

from convert.registry import Registry


def built_in():
    """A registry with the converters that are always there."""
    registry = Registry()
    registry.converter("upper", aliases=["up"])(str.upper)
    registry.converter("reverse")(lambda text: text[::-1])
    return registry


def convert(kind, text):
    return built_in().convert(kind, text)
Y
cat > convert/__main__.py <<'Y'
"""convert KIND: converts standard input."""

import argparse
import sys

from convert.core import built_in
from convert.plugins import load_plugins


def main(argv=None):
    parser = argparse.ArgumentParser(prog="convert", description=__doc__)
    parser.add_argument("kind", nargs="?")
    parser.add_argument("--plugins", metavar="DIR")
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args(argv)
    if given.kind is None and not given.list:
        parser.error("give a KIND, or --list")
    registry = built_in()
    for name, message in load_plugins(registry, given.plugins) if given.plugins else []:
        print(f"convert: plugin {name}: {message}", file=sys.stderr)
    if given.list:
        print("\n".join(registry.names()))
        return 0
    try:
        sys.stdout.write(registry.convert(given.kind, sys.stdin.read()))
    except LookupError as error:
        print(f"convert: {error.args[0]}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
Y
