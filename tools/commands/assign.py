"""Assignments: what variables hold afterwards, and which of them change what other commands do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tools.commands.call import Call
from tools.commands.control import hides
from tools.commands.expand import is_word, text_from, words_of
from tools.commands.grammar import UnreadableError
from tools.commands.scene import DANGEROUS, SPECIAL, Scene, Value
from tools.commands.syntax import text_of
from tools.commands.table import table
from tools.commands.text import ANY, Text, joined, lit
from tools.protocol import Effect

if TYPE_CHECKING:
    from tree_sitter import Node

    from tools.commands.walk import Reader

_NOTHING = lit("")
_OF_THE_SHELL = frozenset({"HOME", "CDPATH", "TMPDIR"})
_READONLY = re.compile(r"E?UID|PPID|BASHOPTS|SHELLOPTS|BASH_VERSINFO")
DECLARES = frozenset({"export", "declare", "typeset", "local", "readonly", "unset", "[", "test"})
"""What the tree shows as no command, so that a function or an alias of that name is not seen to be called."""


def assigned(name: str, value: Value, shown: str, scene: Scene, reader: Reader) -> None:
    """Note that a variable gets a value, however that is done, and what that changes."""
    if name in {"BASH_ALIASES", "BASH_CMDS"}:
        reader.findings.everything(shown[:200], f"{name} changes which commands names are")
    if DANGEROUS.fullmatch(name):
        reader.findings.add({Effect.RUN}, shown[:200], f"{name} changes what other commands do")
        scene.odd |= name in {"IFS", "GLOBIGNORE"}
        _run_later(name, value, shown, reader)
    if name.lower().endswith("_proxy"):
        reader.findings.add({Effect.NETWORK}, shown[:200], f"{name} sends requests to another host")
    if reader.exports_all:
        exported(name, value, shown, scene, reader)
    if name in reader.numbers:
        for text in value if isinstance(value, tuple) else (value,):
            hides(text, shown, reader, scene)
    reader.assigned[name] += 1
    scene.changed |= _OF_THE_SHELL & {name}
    if name in reader.fixed or _READONLY.fullmatch(name):
        reader.may_stop(scene)
    scene.set(name, ANY if name in reader.fixed or SPECIAL.fullmatch(name) else value)


def _run_later(name: str, value: Value, shown: str, reader: Reader) -> None:
    """Some variables hold commands, or a text in which the shell looks for them."""
    known = value.literal if isinstance(value, Text) else None
    if name in {"SHELLOPTS", "BASHOPTS"}:
        reader.findings.everything(shown[:200], f"{name} changes how other shells read their commands")
    elif name == "PROMPT_COMMAND":
        reader.code(value if isinstance(value, Text) else ANY, Scene(None), name)
    elif name in {"BASH_ENV", "ENV", "PS0", "PS1", "PS2", "PS4"}:
        unknown = known is None and name in {"BASH_ENV", "PS4"}
        if unknown or re.search(r"`|\$[^\w{]|\$\{\w*[^\w}]|^/(dev|proc)/", (known or "").rstrip("$ ")):
            reader.findings.everything(shown[:200], f"{name} may hold commands")


def variable_assignment(node: Node, scene: Scene, reader: Reader) -> Text:
    name, value = assignment(node, scene, reader)
    assigned(name, value, text_of(node), scene, reader)
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
    if ":~" in text_of(value):
        return name, ANY
    return name, joined(scene.text(name), text) if adds else text


def declaration_command(node: Node, scene: Scene, reader: Reader) -> Text:
    shown = text_of(node)
    keyword = node.children[0].type
    flags = "".join(re.findall(r"(?<=\s)[-+]([A-Za-z]+)", shown))
    exports, wild = keyword == "export" or "x" in flags, scene.wild
    for child in node.children[1:]:
        if child.type == "variable_assignment":
            name, value = assignment(child, scene, reader)
            if {"i", "n"} & set(flags):
                reader.numbers.add(name)
            if "n" in flags and not (isinstance(value, Text) and re.fullmatch(r"\w+", value.literal or "")):
                reader.findings.everything(shown[:200], "gives a variable a name that is not known")
            if {"a", "A"} & set(flags) and isinstance(value, Text) and _is_list(value):
                reader.findings.everything(shown[:200], "evaluates a text in which a command can hide")
            assigned(name, ANY if keyword == "local" and not reader.locals else value, shown, scene, reader)
        elif child.type == "variable_name":
            name = text_of(child)
            if {"i", "n"} & set(flags):
                reader.numbers.add(name)
            if reader.locals and keyword in {"local", "declare", "typeset"}:
                assigned(name, ANY, shown, scene, reader)
        else:
            for word in words_of(child, scene, reader) if is_word(child) else [ANY]:
                known, scene.wild = scene.wild, False
                _declared(word, keyword, scene, shown, reader)
                wild, scene.wild = wild or scene.wild, known  # not before all of it is read
            continue
        if exports:
            exported(name, scene.value(name), shown, scene, reader)
        if reader.locals and keyword not in {"export", "readonly"}:
            reader.locals[-1].add(name)
        if keyword == "readonly" or {"r", "i"} & set(flags):
            reader.fixed.add(name)
    scene.wild = wild
    return _NOTHING


def exported(name: str, value: Value, shown: str, scene: Scene, reader: Reader) -> None:
    """Note that commands get a variable, which may change what they do, or name a command."""
    scene.changed |= _OF_THE_SHELL & {name}
    _run_later(name, value, shown, reader)
    if isinstance(value, Text) and re.search(r"\w\[[^\]]*[$`]", value.literal or ""):
        reader.findings.everything(shown[:200], f"{name} holds a text in which a command can hide")
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


def _is_list(value: Text) -> bool:
    """May it be a text that is taken for the elements of an array, and expanded once more?"""
    known = value.literal
    return value.wild if known is None else known.startswith("(") and re.search(r"[$`]", known) is not None


def _declared(word: Text, keyword: str, scene: Scene, shown: str, reader: Reader) -> None:
    """A word of `declare`: options, or an assignment that the tree does not show as one."""
    known = word.literal
    in_name = known is None or re.match(r"[^-+=]*\[", known) is not None
    if (keyword not in {"export", "readonly"} and in_name) or re.search(r"=\(.*[$`]", known or "", re.DOTALL):
        reader.findings.everything(shown[:200], "declares a name in which a command can hide")
    if known is None or re.match(r"[-+]\w*[nluc]|[^-+].*[=\[]", known):
        scene.wild = True  # a name that stands for another, or one that is not known
    if known is None or re.match(r"[-+]\w*[inlucF]", known) or "=" in known:
        reader.findings.add({Effect.RUN}, shown[:200], "declares what cannot be told")
    match = re.match(r"([A-Za-z_]\w*)(\+?=|$)", word.prefix)
    if match is not None and (match[2] or known is not None):
        assigned(match[1], ANY, shown, scene, reader)
        if keyword == "export" or reader.exports_all:
            exported(match[1], ANY, shown, scene, reader)
        if reader.locals:
            reader.locals[-1].add(match[1])


def unset_command(node: Node, scene: Scene, reader: Reader) -> Text:
    for child in node.named_children:
        for word in words_of(child, scene, reader) if is_word(child) else [ANY]:
            name = word.literal
            if name is None or "[" in name:
                reader.findings.everything(text_of(node)[:200], "evaluates what stands in a name")
            else:
                reader.assigned[name] += 1
                scene.changed |= {"HOME", "TMPDIR"} & {name}
                scene.defined -= {name}
                scene.set(name, ANY)
    return _NOTHING
