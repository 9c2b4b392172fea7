"""Conditions, loops and arithmetic: what is known after something that may happen never, once or often."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from tools.commands.expand import is_word, text_from, words_of
from tools.commands.syntax import text_of
from tools.commands.text import ANY, MANY, MAYBE, NAME, NUMBER, Text
from tools.protocol import Effect

if TYPE_CHECKING:
    from tree_sitter import Node

    from tools.commands.scene import Scene
    from tools.commands.walk import Reader

MAX_TURNS = 24
"""Elements of a `for` that are followed one by one."""
MAX_NAMES = 8
"""Variables that name each other and are followed when they are evaluated as numbers."""

_TERM = r"\(*-?(?:0|[1-9]\d{0,14}|\$?[A-Za-z_]\w*|\$\{[A-Za-z_]\w*\}|\$[#$?])\)*"
_SAFE = re.compile(
    rf"\(*(?:[A-Za-z_]\w*[-+*]?=)?(?:{_TERM}(?:(?:[-+*<>]|[<>=!]=|&&|\|\|){_TERM})*|[A-Za-z_]\w*(?:\+\+|--))\)*"
)
_NUMBERS = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-v", "-R", "-t"})


def if_statement(node: Node, scene: Scene, reader: Reader) -> None:
    """Conditions happen in order; each branch may or may not."""
    ways: list[Scene] = []
    then, complete = False, False
    branch: Scene | None = None
    for child in node.children:
        if child.type == "then":
            then, branch = True, scene.copy()
            branch.folders = branch.sure = scene.sure
        elif child.type == "elif_clause":
            ways.append(elif_clause(child, scene, reader))
        elif child.type == "else_clause":
            complete, other = True, scene.copy()
            reader.statement(child, other)
            ways.append(other)
        elif child.is_named:
            reader.statement(child, branch if then and branch is not None else scene)
    ways += [branch] if branch is not None else []
    _meet(scene, ways, complete=complete)


def elif_clause(node: Node, scene: Scene, reader: Reader) -> Scene:
    """Walk the condition in `scene`; what is known after the branch."""
    then, branch = False, scene.copy()
    for child in node.children:
        if child.type == "then":
            then, branch = True, scene.copy()
            branch.folders = branch.sure = scene.sure
        elif child.is_named:
            reader.statement(child, branch if then else scene)
    return branch


def _meet(scene: Scene, ways: list[Scene], *, complete: bool) -> None:
    """Only what all ways agree on is known; `complete`: one of them happened."""
    if not ways:
        return
    if complete:
        scene.become(ways[0])
        ways = ways[1:]
    for way in ways:
        scene.join(way)
    scene.sure = scene.folders


def case_statement(node: Node, scene: Scene, reader: Reader) -> None:
    """Each item may or may not happen, also after another (`;&`)."""
    value = node.child_by_field_name("value")
    if value is not None:
        text_from(value, scene, reader)
    for item in (child for child in node.children if child.type == "case_item"):
        branch = scene.copy()
        for child in item.children:
            if is_word(child) and item.field_name_for_child(item.children.index(child)) == "value":
                text_from(child, branch, reader)
            elif child.is_named and not is_word(child):
                reader.statement(child, branch)
        scene.join(branch)


def while_statement(node: Node, scene: Scene, reader: Reader) -> None:
    """Condition and body, until nothing new is known."""

    def turn(inside: Scene) -> None:
        for child in node.named_children:
            reader.statement(child, inside)

    _repeat(turn, scene, reader)


def c_style_for_statement(node: Node, scene: Scene, reader: Reader) -> None:
    """`for ((…))`: its expressions set numbers."""

    def turn(inside: Scene) -> None:
        for child in node.named_children:
            if child.type in {"do_group", "compound_statement"}:
                reader.statement(child, inside)
            else:
                _arithmetic_part(child, inside, reader)

    _repeat(turn, scene, reader)


def for_statement(node: Node, scene: Scene, reader: Reader) -> None:
    """`for x in words`: the body for each word, if they are known and few; else for what they may be."""
    variable = node.child_by_field_name("variable")
    name = text_of(variable) if variable is not None else ""
    given = [child for child in node.children if child is not variable and is_word(child) and child != variable]
    body = node.child_by_field_name("body")
    has_in = any(child.type == "in" for child in node.children)
    words = [word for child in given for word in words_of(child, scene, reader)] if has_in else [*scene.words("@")]
    if body is None:
        return
    loop = body

    def turn(inside: Scene) -> None:
        reader.statement(loop, inside)

    def any_turn(inside: Scene) -> None:
        for word in _summary(words):
            each = inside.copy()
            reader.assign(name, word, text_of(node), each)
            reader.framed(turn, each)
            inside.join(each)

    _repeat(any_turn, scene, reader)
    scene.set(name, ANY)


def _summary(words: list[Text]) -> list[Text]:
    if len(words) <= MAX_TURNS and not any(word.many for word in words):
        return list(words)
    if not all(word.tame for word in words):
        return [ANY]
    sure = all(part.kind in {"lit", "name"} for word in words for part in word.parts[:1])
    return [NAME] if sure else [MAYBE, NUMBER]


def _repeat(turn: Callable[[Scene], None], scene: Scene, reader: Reader) -> None:
    """Take turns until what is known no longer changes; then it holds for any number of them."""
    for _ in range(3):
        inside = scene.copy()
        reader.framed(turn, inside)
        before = scene.copy()
        scene.join(inside)
        if scene.same(before):
            return
    scene.folders, scene.values, scene.wild, scene.odd, scene.defined = None, {}, True, True, frozenset()
    reader.framed(turn, scene.copy())


def set_positional(scene: Scene, args: list[Text] | None) -> None:
    """Note `$1`, `$2`, …; None: they are not known."""
    for name in [name for name in scene.values if name.isdigit() or name == "@"]:
        del scene.values[name]
    if args is None or any(arg.many for arg in args):
        scene.set("@", (MANY,))
        return
    scene.set("@", tuple(args))
    for number, arg in enumerate(args, 1):
        scene.set(str(number), arg)


def arithmetic(node: Node, scene: Scene, reader: Reader) -> None:
    """Walk an expression. A variable in it is evaluated in its turn, and a subscript there can hold a command."""
    for child in node.named_children:
        _arithmetic_part(child, scene, reader)


def may_fail(node: Node, scene: Scene) -> bool:
    """Could bash give up an expression, and the rest of the line with it: for a division, or what is no number?"""
    shown = re.sub(r"\s+", "", text_of(node)).removeprefix("$")
    names = re.findall(r"[A-Za-z_]\w*", shown)
    return _SAFE.fullmatch(shown) is None or not all(_is_number(scene.text(name)) for name in names)


def _is_number(value: Text) -> bool:
    known = value.literal
    return re.fullmatch(r"0|-?[1-9]\d{0,14}", known) is not None if known is not None else value == NUMBER


def _arithmetic_part(node: Node, scene: Scene, reader: Reader) -> None:
    target = node.child_by_field_name("name") if node.type == "variable_assignment" else None
    if target is not None and target.type == "variable_name" and any(child.type == "=" for child in node.children):
        for child in node.named_children[1:]:
            _arithmetic_part(child, scene, reader)
        reader.assign(text_of(target), NUMBER, text_of(node), scene)
        return
    if node.type in {"variable_name", "word"} and not node.named_children:
        name = text_of(node)
        if re.fullmatch(r"[A-Za-z_]\w*", name):
            hides(scene.text(name), text_of(node.parent or node), reader, scene)
            if node.parent is not None and _is_set(node):
                reader.assign(name, NUMBER, text_of(node.parent), scene)
        return
    if node.type in {"number", "special_variable_name", "comment"}:
        return
    if is_word(node) and node.type not in {"subscript", "array"}:
        hides(text_from(node, scene, reader), text_of(node.parent or node), reader, scene)
        return
    for child in node.named_children:
        _arithmetic_part(child, scene, reader)


def _is_set(node: Node) -> bool:
    """Is the variable changed by the expression it stands in?"""
    parent = node.parent
    if parent is None:
        return False
    signs = {child.type for child in parent.children if not child.is_named}
    return bool(signs & {"++", "--", "=", "+=", "-=", "*=", "/=", "%=", "<<=", ">>=", "&=", "|=", "^="})


def hides(value: Text, shown: str, reader: Reader, scene: Scene, depth: int = 0) -> None:
    """Note what evaluating the value as a number could run: a name in it stands for the value of that variable."""
    known = value.literal
    if known is None:
        if not value.tame or depth > MAX_NAMES:
            reader.findings.add({Effect.RUN}, shown[:200], "evaluates a value that is not known as a number")
    elif re.search(r"[\[$`]", known) or depth > MAX_NAMES:
        reader.findings.everything(shown[:200], "evaluates a text in which a command can hide")
    else:
        for name in re.findall(r"(?<![\w#])[A-Za-z_]\w*", known):
            if name in scene.values:
                hides(scene.text(name), shown, reader, scene, depth + 1)


def test_command(node: Node, scene: Scene, reader: Reader) -> None:
    """`[ … ]` and `[[ … ]]`."""
    reader.findings.add({Effect.READ}, text_of(node), "tests")
    if node.children and node.children[0].type == "((":
        arithmetic(node, scene, reader)
        return
    texts: list[Text] = []
    waiting = list(node.named_children)
    while waiting:
        child = waiting.pop()
        if is_word(child):
            texts += words_of(child, scene, reader)
        else:
            waiting += child.named_children
    check_test(texts, text_of(node), reader, scene, extra=_signs(node))


def _signs(node: Node) -> set[str]:
    found, waiting = set[str](), [node]
    while waiting:
        child = waiting.pop()
        if child.type == "test_operator":
            found.add(text_of(child))
        waiting += child.children
    return found


def check_test(texts: list[Text], shown: str, reader: Reader, scene: Scene, extra: set[str] | None = None) -> None:
    """Note what a test could run: numbers, `-v` and `-R` evaluate subscripts."""
    signs = {text.literal for text in texts if text.literal} | (extra or set())
    open_ended = any(text.many for text in texts)
    if not (signs & _NUMBERS or open_ended):
        return
    for text in texts:
        if text.literal is None or not re.fullmatch(r"-\w+|!?=|==|!|-?\d+|\]|", text.literal):
            hides(text, shown, reader, scene)
