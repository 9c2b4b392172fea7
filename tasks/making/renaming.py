"""A twin of a task under other names: what is the project's own is renamed in all of it, and the problem stays.

A model that learned the task by heart knows its names; one that can do the work does not need them. Renamed are
functions, classes, arguments, variables and modules that the task's files define, word by word from a closed
table, in code, tests, instruction, solution and file names alike. A name that anything outside may know stays:
built-in ones, those of the standard library, attributes and keyword arguments that the files do not define
themselves. What was renamed wrongly all the same shows when the twin is proven.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from agent.parsing import parse
from tasks.format.task import Task
from tasks.making.related import relate

MAX_FILE = 1 << 20
_PAIRS = (
    "mean average", "rolling sliding", "window span", "values numbers", "value number", "orders purchases",
    "order purchase", "customer client", "customers clients", "price cost", "total tally", "report summary",
    "reports summaries", "record entry", "records entries", "item element", "items elements", "line row",
    "lines rows", "text content", "name label", "names labels", "path place", "file document", "files documents",
    "parse read", "parser reader", "format layout", "convert transform", "converter transformer", "count amount",
    "counts amounts", "user member", "users members", "task job", "tasks jobs", "event occurrence", "key handle",
    "start begin", "end finish", "first leading", "last trailing", "result outcome", "results outcomes",
    "export output", "import intake", "merge combine", "merged combined", "split divide", "clean tidy",
    "store keep", "load fetch", "save write", "cache buffer", "queue waiting", "stack pile", "node vertex",
    "nodes vertices", "edge link", "edges links", "graph network", "tree hierarchy", "word term", "words terms",
    "token symbol", "tokens symbols", "number figure", "numbers figures", "config settings", "option choice",
    "options choices", "date day", "time moment", "duration length", "size extent", "width breadth",
    "height altitude", "area surface", "shape form", "color tint", "message notice", "messages notices",
    "mail post", "account ledger", "balance standing", "amount tally", "rate ratio", "tax levy", "discount rebate",
    "product article", "products articles", "inventory stock", "archive attic", "slug handle", "header heading",
    "headers headings", "data content", "row record", "rows records", "column field", "columns fields",
    "table grid", "matrix array", "vector series", "point spot", "points spots", "distance gap", "speed pace",
    "filter sieve", "sort arrange", "search seek", "find locate", "check verify", "valid sound", "group cluster",
    "groups clusters", "level tier", "score mark", "scores marks", "player gamer", "game match", "book volume",
    "books volumes", "author writer", "title caption", "page leaf", "pages leaves", "log diary",
    "plugin extension", "plugins extensions", "handler responder", "request query", "response reply",
    "server host", "client caller", "worker labourer", "batch lot", "chunk piece", "chunks pieces", "pair couple",
    "pairs couples", "step stage", "steps stages", "rule law", "rules laws", "box crate", "thing object",
    "things objects",
)  # fmt: skip
WORDS = dict(pair.split(" ") for pair in _PAIRS)


def write_renamed(task: Task, target: Path) -> int:
    """Write the twin at `target`; how many names differ. With none, nothing is written."""
    files = _texts(task.folder)
    names = mapping({path: text for path, text in files.items() if path.endswith(".py")})
    if not names:
        return 0
    shutil.copytree(task.folder, target, symlinks=True)
    for path, text in files.items():
        changed, place = renamed(text, names), _path(path, names)
        if place != path:
            (target / path).rename(_made(target / place))
        if changed != text:
            (target / place).write_text(changed, encoding="utf-8", newline="")
    for folder in sorted((each for each in target.rglob("*") if each.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    relate(target, "twin_of", task.name)
    return len(names)


def mapping(files: Mapping[str, str]) -> dict[str, str]:
    """New names for what Python files define, by path and text: none that collides, none that others know."""
    trees = {}
    for path, text in files.items():
        try:
            trees[path] = parse(text)
        except (SyntaxError, ValueError, RecursionError):
            return {}  # a file that nobody can read may use any name in any way
    own = set().union(*map(_own, trees.values())) | {Path(path).stem for path in files}
    foreign = _known() | set().union(*(_foreign(tree, own) for tree in trees.values()))
    taken = {word for tree in trees.values() for word in _used(tree)}
    found: dict[str, str] = {}
    for name in sorted(own - foreign):
        new = _other(name)
        if new != name and new not in taken and new not in foreign and not keyword.iskeyword(new):
            found[name] = new
            taken.add(new)
    return found


def renamed(text: str, names: Mapping[str, str]) -> str:
    """The text with each name, as a whole word, replaced."""
    pattern = re.compile(r"\b(" + "|".join(sorted(map(re.escape, names), key=len, reverse=True)) + r")\b")
    return pattern.sub(lambda found: names[found[0]], text)


def _other(name: str) -> str:
    """The name with every word that the table has replaced by its partner; capitals stay."""

    def word(found: re.Match[str]) -> str:
        old = found[0]
        new = WORDS.get(old.lower(), old)
        return new.upper() if old.isupper() and len(old) > 1 else new.capitalize() if old[0].isupper() else new

    return re.sub(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", word, name)


def _own(tree: ast.AST) -> set[str]:
    """What a file defines."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return found


def _used(tree: ast.AST) -> set[str]:
    """Every name in a file's code."""
    fields = ("id", "attr", "arg", "name", "asname", "module")
    words = (getattr(node, field, None) for node in ast.walk(tree) for field in fields)
    return {part for word in words if isinstance(word, str) for part in word.split(".")}


def _foreign(tree: ast.AST, own: set[str]) -> set[str]:
    """Names that a file takes from elsewhere, or that more than its own code may look at."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                parts = set(alias.name.split("."))
                found |= parts if not parts & own else set()
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            parts = set(node.module.split("."))
            if not parts & own:
                found |= {*parts, *(alias.name for alias in node.names)}
        elif isinstance(node, ast.Attribute) and node.attr not in own:
            found.add(node.attr)
        elif isinstance(node, ast.keyword) and node.arg is not None and node.arg not in own:
            found.add(node.arg)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # A word that stands alone in quotes may be a key or a column: data, which is not renamed.
            found |= {node.value} if node.value.isidentifier() else set()
    return found


def _known() -> set[str]:
    kinds = (str, bytes, list, dict, set, tuple, int, float, type, object, property, BaseException)
    attributes = {name for kind in kinds for name in dir(kind)}
    fixtures = {"tmp_path", "monkeypatch", "capsys", "request", "caplog", "self", "cls", "conftest", "main"}
    return {
        *dir(builtins),
        *keyword.kwlist,
        *sys.stdlib_module_names,
        *attributes,
        *fixtures,
        "test",
        "tests",
        "src",
    }


def _texts(folder: Path) -> dict[str, str]:
    """The files of a task that are text."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_FILE:
            try:
                found[path.relative_to(folder).as_posix()] = path.read_bytes().decode("utf-8")
            except UnicodeDecodeError:
                continue
    return found


def _path(path: str, names: Mapping[str, str]) -> str:
    """A file's path with its own parts renamed; the folders of the format stay."""
    fixed = ("task.toml", "instruction.md", "solution/solve.sh", "tests/test.sh")
    if path in fixed or path.startswith("wrong/"):
        return path
    head, *rest = path.split("/")
    kept = ["files"] if head == "environment" and rest[:1] == ["files"] else []
    parts: Iterable[str] = rest[len(kept) :]
    return "/".join([head, *kept, *(renamed(part, names) for part in parts)])


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
