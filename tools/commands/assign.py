"""Assignments: what variables hold afterwards, and which of them change what other commands do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tools.commands.call import Call
from tools.commands.expand import is_word, text_from, words_of
from tools.commands.grammar import UnreadableError
from tools.commands.scene import DANGEROUS, Scene, Value
from tools.commands.syntax import text_of
from tools.commands.table import table
from tools.commands.text import ANY, Text, joined, lit
from tools.protocol import Effect

if TYPE_CHECKING:
    from tree_sitter import Node

    from tools.commands.walk import Reader

_NOTHING = lit("")


def variable_assignment(node: Node, scene: Scene, reader: Reader) -> Text:
    name, value = assignment(node, scene, reader)
    if DANGEROUS.fullmatch(name):
        reader.findings.add({Effect.RUN}, text_of(node)[:200], f"{name} changes what other commands do")
        scene.odd |= name in {"IFS", "GLOBIGNORE"}
    if name.lower().endswith("_proxy"):
        reader.findings.add({Effect.NETWORK}, text_of(node)[:200], f"{name} sends requests to another host")
    reader.count_assignment(name)
    scene.set(name, value)
    return _NOTHING


def variable_assignments(node: Node, scene: Scene, reader: Reader) -> Text:
    for child in node.named_children:
        variable_assignment(child, scene, reader)
    return _NOTHING


def assignment(node: Node, scene: Scene, reader: Reader) -> tuple[str, Value]:
    """The name and the value; an element of an array makes all of it unknown."""
    target, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    if target is None:
        raise UnreadableError("has an assignment that cannot be read for certain")
    adds = any(child.type == "+=" for child in node.children)
    if target.type == "subscript":
        reader.arithmetic(target, scene)
        inner = text_of(target).partition("[")[0]
        if value is not None:
            text_from(value, scene, reader)
        return inner, (Text((), many=True),)
    name = text_of(target)
    if value is None:
        return name, lit("")
    if value.type == "array":
        found = tuple(word for child in value.named_children for word in words_of(child, scene, reader))
        return name, (*scene.words(name), *found) if adds else found
    text = text_from(value, scene, reader)
    return name, joined(scene.text(name), text) if adds else text


def declaration_command(node: Node, scene: Scene, reader: Reader) -> Text:
    shown = text_of(node)
    keyword = node.children[0].type
    exports = keyword == "export"
    for child in node.children[1:]:
        if child.type == "variable_assignment":
            variable_assignment(child, scene, reader)
            name = text_of(child).partition("=")[0]
            if exports or "-x" in shown:
                exported(name, scene.value(name), shown, scene, reader)
        elif child.type == "variable_name":
            if exports:
                exported(text_of(child), scene.value(text_of(child)), shown, scene, reader)
        else:
            for word in words_of(child, scene, reader) if is_word(child) else [ANY]:
                _declared(word, scene, shown, reader)
    return _NOTHING


def exported(name: str, value: Value, shown: str, scene: Scene, reader: Reader) -> None:
    """Note that commands get a variable, which may change what they do, or name a command."""
    if name == "CDPATH":
        scene.set(name, value)
    if table().harmless.fullmatch(name):
        return
    reader.findings.add({Effect.RUN}, shown[:200], f"{name} may change what the command does")
    if name.lower().endswith("_proxy"):
        reader.findings.add({Effect.NETWORK}, shown[:200], f"{name} sends requests to another host")
    known = value.literal if isinstance(value, Text) else None
    if known is not None:
        _may_be_run(name, known, Call(reader, scene, [lit(name)], shown))


def _may_be_run(name: str, value: str, call: Call) -> None:
    """Many programs take the value of a variable for a command."""
    from tools.commands.judge import may_be_line, only_worse  # it judges what has variables

    first = value.split()[0] if value.split() else ""
    if " " in value and table().row(first) is not None:
        call.reader.maybe_line(value, call.scene.child())
    elif may_be_line(value):
        only_worse(call, value, [])
    if name.startswith("GIT_CONFIG"):
        only_worse(call, f"git {value.removeprefix('!')}", [])


def _declared(word: Text, scene: Scene, shown: str, reader: Reader) -> None:
    """A word of `declare`: options, or an assignment that the tree does not show as one."""
    known = word.literal
    if known is None or re.match(r"-\w*n|[^-].*[=\[]", known):
        scene.wild = True  # a name that stands for another, or one that is not known
    if known is None or re.match(r"-\w*[inF]", known) or "=" in known:
        reader.findings.add({Effect.RUN}, shown[:200], "declares what cannot be told")


def unset_command(node: Node, scene: Scene, reader: Reader) -> Text:
    for child in node.named_children:
        for word in words_of(child, scene, reader) if is_word(child) else [ANY]:
            if word.literal is None:
                scene.wild = True
            else:
                scene.set(word.literal, ANY)
    return _NOTHING
