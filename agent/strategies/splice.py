"""Functions cut out of a source file, and put back corrected: pure text, nothing is ever run.

Threat model: both the file and the answer are the agent's text. They are only parsed (`ast`, `tokenize`), with a
bound on their size, and whatever does not parse is `Unusable`.
"""

from __future__ import annotations

import ast
import copy
import difflib
import io
import re
import sys
import textwrap
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from agent import parsing

MAX_SOURCE = 400_000
"""Characters of a file above which it is left alone."""
MAX_DEPTH = 150
MAX_HUNKS, MAX_PAIRS = 100, 200
"""How much is tried to keep lines of the file that mean the same as the answer's."""

_MARK = "\ufeff"
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_FENCE = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_Def = ast.FunctionDef | ast.AsyncFunctionDef


class Unusable(Exception):
    """An answer that cannot be tried, or a file that cannot be read; the message says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a file, from line `first` (its decorators) to line `last`, counted from 1.

    `code` is its text at the left margin, without the docstring; `doc` are the docstring's lines and the blank
    ones below it, as they stand in the file. `body` is the syntax tree without docstring and decorators, as text.
    """

    name: str
    first: int
    last: int
    indent: str
    code: str
    doc: tuple[str, ...]
    decorators: int
    body: str
    nested: bool

    @property
    def short_name(self) -> str:
        """The name without the class or function it is in."""
        return self.name.rsplit(".", 1)[-1]


def parse(text: str) -> ast.Module:
    """The syntax tree. Raises Unusable."""
    if len(text) > MAX_SOURCE:
        raise Unusable(f"more than {MAX_SOURCE} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return parsing.parse(text.removeprefix(_MARK))
    except SyntaxError as error:
        raise Unusable(f"not valid Python: {error.msg} (line {error.lineno})") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise Unusable(f"not valid Python: {error}") from error


def _refuse_depth(tree: ast.AST) -> None:
    """Raise Unusable for a tree that the recursion in this module, and in `ast`, could not walk."""
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise Unusable(f"nested more than {MAX_DEPTH} levels deep")


def lines_of(text: str) -> list[str]:
    """The lines as Python counts them, with their ends."""
    return [line for line in _LINE.findall(text) if line]


def functions(source: str) -> list[Function]:
    """All functions and methods of a file; nested ones come after the one they are in. Raises Unusable."""
    tree = parse(source)
    _refuse_depth(tree)
    lines, inside = lines_of(source), _inside_strings(source)
    return [_function(node, name, nested, lines, inside) for node, name, nested in _definitions(tree, "", False)]


def blocks(answer: str) -> list[str]:
    """The fenced code of an answer, or all of it when nothing is fenced; a missing last fence is forgiven."""
    found = [match[1] for match in _FENCE.finditer(answer.replace("\r\n", "\n"))]
    return [textwrap.dedent(text).strip("\n") + "\n" for text in found or [answer]]


def corrected(source: str, function: Function, answer: str, modules: frozenset[str] = frozenset()) -> str:
    """The file with the function as `answer` has it; its docstring and decorators stay, and so does what is equal.

    Imports come along when they can be resolved (the standard library and `modules`), and so do helper functions
    that the new code calls. Raises Unusable, also for an answer that changes nothing.
    """
    problem = Unusable("the answer holds no code")
    for block in blocks(answer):
        try:
            return _with_block(source, function, block, modules)
        except Unusable as error:
            problem = error
    raise problem


def replace(source: str, function: Function, code: str) -> str:
    """The file with `code` (as in `Function.code`) in the function's place. Raises Unusable."""
    lines = lines_of(source)
    newline = _end_of(lines[function.first - 1]) or "\n"
    if function.doc and not _head_lines(code):  # all on one line: no place for a docstring
        code = ast.unparse(parse(code)) + "\n"
    inside = _inside_strings(code)
    new = [
        line if number in inside or not line.strip() else function.indent + line
        for number, line in enumerate(lines_of(code), 1)
    ]
    new = [line.rstrip("\r\n") + newline for line in new]
    head = _head_lines(code)
    new[head:head] = function.doc
    if lines[function.first - 1].startswith(_MARK):
        new[0] = _MARK + new[0]
    if not _end_of(lines[function.last - 1]):
        new[-1] = new[-1].rstrip("\r\n")
    return keep_equal_lines(source, "".join([*lines[: function.first - 1], *new, *lines[function.last :]]))


def head_of(code: str) -> tuple[str, str]:
    """The head of a function at the left margin, up to its colon's line, and the indentation of what follows."""
    return "".join(lines_of(code)[: _head_lines(code)]), _unit(code) or "    "


def keep_equal_lines(old: str, new: str) -> str:
    """`new` with the old lines back wherever they mean the same: comments, blank lines, quotes, wrapping.

    Raises Unusable when `new` does not parse.
    """
    want = ast.dump(parse(new))
    before, lines = lines_of(old), lines_of(new)
    codes = difflib.SequenceMatcher(None, before, lines, autojunk=False).get_opcodes()
    hunks = [code for code in codes if code[0] != "equal"][:MAX_HUNKS]
    for _, a, b, c, d in reversed(hunks):
        for i, j, k, m in _parts(a, b, c, d):
            trial = [*lines[:k], *before[i:j], *lines[m:]]
            if _means(trial, want):
                lines = trial
                break
    return "".join(lines)


def _parts(a: int, b: int, c: int, d: int) -> Iterator[tuple[int, int, int, int]]:
    """Pairs of ranges, old and new, to exchange within a hunk: all of it, then its ends, the longest first."""
    yield a, b, c, d
    if (b - a) * (d - c) <= MAX_PAIRS:
        for taken in range(d - c, 0, -1):
            yield from ((a, i, c, c + taken) for i in range(b, a - 1, -1))
            yield from ((i, b, d - taken, d) for i in range(a, b + 1))


def _means(lines: list[str], want: str) -> bool:
    try:
        return ast.dump(parse("".join(lines))) == want
    except Unusable:
        return False


def _with_block(source: str, function: Function, block: str, modules: frozenset[str]) -> str:
    found = functions(block)
    named = [f for f in found if f.short_name == function.short_name]
    if not named:
        raise Unusable(f"the answer does not define `{function.short_name}`")
    new = next((f for f in named if f.name == function.name), named[0])
    if new.body == function.body:
        raise Unusable("the answer changes nothing")
    code = new.code
    if function.decorators and not new.decorators:
        code = "".join([*lines_of(function.code)[: function.decorators], code])
    code = keep_equal_lines(function.code, _indented_like(function.code, code))
    result = replace(source, function, code)
    tree = parse(source)
    bound = _bound(tree)
    used = _names(new.code)
    helpers = [f for f in found if f.name in used - bound and f.name != function.short_name]
    for helper in helpers:
        used |= _names(helper.code)
        result = _insert(result, _statement_line(tree, function.first), helper.code.rstrip() + "\n\n\n")
    for text in _imports(block, used - bound, modules | _imported(tree)):
        result = _insert(result, _import_line(tree), text + "\n")
    parse(result)
    return result


def _indented_like(old: str, new: str) -> str:
    """`new` with the unit of indentation that `old` has, so that the file's docstring fits above it."""
    unit, own = _unit(old), _unit(new)
    if not unit or not own or unit == own:
        return new
    inside = _inside_strings(new)
    out = []
    for number, line in enumerate(lines_of(new), 1):
        depth = 0
        while number not in inside and line.startswith(own * (depth + 1)):
            depth += 1
        out.append(unit * depth + line[len(own) * depth :])
    return "".join(out)


def _unit(code: str) -> str:
    """The white space in front of the first statement of a function at the left margin."""
    node = parse(code).body[0]
    lines = lines_of(code)
    first = lines[node.body[0].lineno - 1] if isinstance(node, _Def) else ""
    return first[: len(first) - len(first.lstrip(" \t"))]


def _definitions(node: ast.AST, prefix: str, nested: bool) -> Iterator[tuple[_Def, str, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _Def):
            yield child, prefix + child.name, nested
            yield from _definitions(child, f"{prefix}{child.name}.", True)
        elif isinstance(child, ast.ClassDef):
            yield from _definitions(child, f"{prefix}{child.name}.", nested)
        elif isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from _definitions(child, prefix, nested)


def _function(node: _Def, name: str, nested: bool, lines: list[str], inside: set[int]) -> Function:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    last = node.end_lineno or node.lineno
    start = lines[first - 1]
    indent = start[: len(start) - len(start.lstrip(" \t"))]
    doc = _doc_lines(node, lines)
    bare = copy.copy(node)
    bare.decorator_list = []
    bare.body = node.body[1:] if len(node.body) > 1 and _is_text(node.body[0]) else node.body
    return Function(
        name=name,
        first=first,
        last=last,
        indent=indent,
        code="".join(
            lines[number - 1] if number in inside else lines[number - 1].removeprefix(indent)
            for number in range(first, last + 1)
            if number not in doc
        ).removeprefix(_MARK),
        doc=tuple(lines[number - 1] for number in doc),
        decorators=node.lineno - first,
        body=ast.dump(bare),
        nested=nested,
    )


def _doc_lines(node: _Def, lines: list[str]) -> range:
    """The docstring's lines and the blank ones below it, when it stands alone on them, right below the head."""
    if len(node.body) < 2 or not _is_text(node.body[0]):
        return range(0)
    doc, after = node.body[0], node.body[1]
    end = doc.end_lineno or doc.lineno
    head = "".join(lines[node.lineno - 1 : doc.lineno - 1])
    alone = not lines[doc.lineno - 1].encode()[: doc.col_offset].strip() and after.lineno > end
    if not alone or _head_lines(textwrap.dedent(head) + "    pass\n") != doc.lineno - node.lineno:
        return range(0)
    while not lines[end].strip():
        end += 1
    return range(doc.lineno, end + 1)


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )


def _head_lines(code: str) -> int:
    """How many lines the head of a function at the left margin takes, decorators included; 0 if unclear."""
    depth = 0
    in_head = False
    last: tokenize.TokenInfo | None = None
    for token in _tokens(code):
        if token.type == tokenize.NAME and token.string == "def" and depth == 0:
            in_head = True
        if token.type == tokenize.OP:
            depth += (token.string in "([{") - (token.string in ")]}")
        if token.type == tokenize.NEWLINE and in_head:
            return token.start[0] if last is not None and last.string == ":" else 0
        if token.type not in {tokenize.COMMENT, tokenize.NL}:
            last = token
    return 0


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    """The tokens as far as the text can be read."""
    try:
        yield from tokenize.generate_tokens(io.StringIO(text.removeprefix(_MARK), newline="").readline)
    except (tokenize.TokenError, SyntaxError):
        return


def _inside_strings(text: str) -> set[int]:
    """The lines that begin inside a string: their indentation is part of it."""
    inside: set[int] = set()
    opened: list[int] = []
    for token in _tokens(text):
        kind = tokenize.tok_name[token.type]
        if kind == "STRING":
            inside.update(range(token.start[0] + 1, token.end[0] + 1))
        elif kind in {"FSTRING_START", "TSTRING_START"}:
            opened.append(token.start[0])
        elif kind in {"FSTRING_END", "TSTRING_END"}:
            inside.update(range(opened.pop() + 1, token.end[0] + 1))
    return inside


def _end_of(line: str) -> str:
    return line[len(line.rstrip("\r\n")) :]


def _names(code: str) -> set[str]:
    return {node.id for node in ast.walk(parse(code)) if isinstance(node, ast.Name)}


def _bound(tree: ast.Module) -> set[str]:
    """Names that the module's own statements define or import."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names | {node.name for node in tree.body if isinstance(node, _Def | ast.ClassDef)}


def _imported(tree: ast.Module) -> frozenset[str]:
    """The modules that the file imports already."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return frozenset(names)


def _imports(block: str, wanted: set[str], modules: frozenset[str]) -> list[str]:
    """The answer's own imports of wanted names; the model makes modules up, so only known ones count."""
    texts = []
    for node in parse(block).body:
        if isinstance(node, ast.ImportFrom) and (node.level or not node.module or node.module == "__future__"):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [a for a in node.names if (a.asname or a.name).split(".")[0] in wanted]
            source = node.module if isinstance(node, ast.ImportFrom) else None
            names = [a for a in names if (source or a.name).split(".")[0] in sys.stdlib_module_names | modules]
            if names:
                node.names = names
                texts.append(ast.unparse(node))
    return texts


def _statement_line(tree: ast.Module, line: int) -> int:
    """Where the top-level statement that holds `line` begins, its decorators included."""
    start = 1
    for node in tree.body:
        decorators = node.decorator_list if isinstance(node, _Def | ast.ClassDef) else []
        first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
        start = first if first <= line else start
    return start


def _import_line(tree: ast.Module) -> int:
    """The line below the last import at the top, or below the module's docstring."""
    line = 0
    for number, node in enumerate(tree.body):
        if isinstance(node, ast.Import | ast.ImportFrom) or (number == 0 and _is_text(node)):
            line = node.end_lineno or node.lineno
        else:
            break
    return line + 1


def _insert(source: str, line: int, text: str) -> str:
    lines = lines_of(source)
    newline = _end_of(lines[0]) or "\n"
    if line - 1 == len(lines) and not _end_of(lines[-1]):
        text = "\n" + text
    return "".join([*lines[: line - 1], text.replace("\n", newline), *lines[line - 1 :]])
