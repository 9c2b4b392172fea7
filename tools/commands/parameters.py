"""What `$x` and `${x…}` stand for, as far as is known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tools.commands import places
from tools.commands.expand import Walker, is_word, text_from
from tools.commands.grammar import UnreadableError
from tools.commands.scene import Scene
from tools.commands.syntax import text_of
from tools.commands.text import ANY, MANY, MAYBE, NAME, Part, Text, lit

if TYPE_CHECKING:
    from tree_sitter import Node


def simple(name: str, scene: Scene) -> Text:
    """`$name`."""
    if name in {"?", "#", "$"}:
        return NAME
    if name == "!":  # nothing, unless there is a job in the background
        return NAME if "!" in scene.values else MAYBE
    if name in {"@", "*"}:
        words = scene.words("@")
        known = [word.literal for word in words]
        return lit(" ".join(part for part in known if part is not None)) if None not in known else MANY
    if name in scene.values and not scene.wild:
        return scene.text(name)
    if name == "PWD" and scene.folders is not None and len(scene.folders) == 1 and not scene.wild:
        return lit(next(iter(scene.folders)))
    if name == "HOME" and not scene.wild and "HOME" not in scene.changed:
        return lit(places.HOME)
    return scene.text(name)


def expansion(node: Node, scene: Scene, walker: Walker) -> Text:
    """`${…}`. What is substituted in it is walked, whether or not its value is known."""
    text = text_of(node).lstrip()
    operands = [text_from(child, scene, walker) for child in node.named_children[1:] if is_word(child)]
    _walk_the_rest(node, scene, walker)
    if match := re.fullmatch(r"\$\{(\w+|[@*#?$!])\}", text):
        return simple(match[1], scene)
    if re.fullmatch(r"\$\{#\w+(\[[@*]\])?\}", text):
        return NAME
    if re.fullmatch(r"\$\{\w+\[[@*]\]\}", text):
        return MANY
    match = re.match(r"\$\{(\w+)(:?[-=+?]|##?|%%?|,,?|\^\^?|@|/|:)", text)
    if indirect := re.match(r"\$\{!(\w+)(?![\w*@\[])", text):
        walker.evaluate(simple(indirect[1], scene), text, scene)
    if match is None:
        walker.may_stop(scene)  # where bash takes it for a mistake
        return MANY if re.match(r"\$\{(!|[@*]|\w+\[)", text) else ANY
    name, sign = match[1], match[2]
    value = simple(name, scene)
    if sign == "@" and not value.tame:
        raise UnreadableError(f"holds {text[:40]}, which can run what the variable holds")
    if sign in {"@", ":"}:
        walker.may_stop(scene)
    if sign.endswith(("-", "=", "?")) and value.literal:
        return value
    if sign.endswith("="):
        walker.assign(name, operands[0] if len(operands) == 1 else ANY, text, scene)
        scene.set(name, ANY)
    if sign[0] in "#%" and len(operands) == 1:
        return stripped(value, sign, operands[0])
    if sign[0] in ",^" and value.literal is not None and not operands:
        return lit(value.literal.lower() if sign[0] == "," else value.literal.upper()) if len(sign) == 2 else ANY
    return ANY


def _walk_the_rest(node: Node, scene: Scene, walker: Walker) -> None:
    """Substitutions in parts of the expansion that are no words of it, such as an index."""
    waiting = [child for child in node.children if not (is_word(child) and child in node.named_children[1:])]
    while waiting:
        child = waiting.pop()
        index = text_of(child).rstrip("]").rpartition("[")[2] if child.type == "subscript" else "@"
        if child.type == "command_substitution":
            walker.output_of(child, scene)
        elif child.type == "arithmetic_expansion" or index not in {"@", "*"}:
            walker.arithmetic(child, scene)
        else:
            waiting += child.children


def stripped(value: Text, sign: str, pattern: Text) -> Text:
    """`${x%.py}` and the like. A name without its end can be anything that holds no slash."""
    tail, known = pattern.literal, value.literal
    plain = tail is not None and not re.search(r"[*?\[\\]", tail)
    if known is not None and plain and tail is not None:
        return lit(known.removesuffix(tail) if sign[0] == "%" else known.removeprefix(tail))
    if known is not None and pattern.shown() == "*/" and sign == "##":
        return lit(known.rpartition("/")[2])
    if known is not None and pattern.shown() == "/*" and sign == "%":
        return lit(known.rpartition("/")[0] if "/" in known else known)
    if value.many or value.wild or any(part.kind == "opt" for part in value.parts):
        return Text((Part("stem"),)) if pattern.shown() == "*/" and sign == "##" else ANY
    if pattern.shown() == "*/" and sign == "##":
        return Text((Part("stem"),))
    if sign == "%" and plain and tail is not None and "/" not in tail:
        return _without_end(value)
    return ANY


def _without_end(value: Text) -> Text:
    """A path of which the last name may have lost its end, so that it may be any name at all."""
    head: list[Part] = []
    rest = list(value.parts)
    for at in reversed(range(len(rest))):
        if rest[at].kind == "lit" and "/" in rest[at].text:
            head, rest = [*rest[:at], Part("lit", rest[at].text.rpartition("/")[0] + "/")], rest[at + 1 :]
            break
    below = [Part("below")] if any(part.kind == "below" for part in rest) else []
    return Text((*head, *below, Part("stem")))
