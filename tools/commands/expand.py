"""From the nodes of a tree to words: what the shell makes of quotes, variables, braces and patterns.

Threat model: a value that is not known is a hole, and one that stands unquoted may be any number of words, or an
option. Substitutions are walked wherever they stand: what they do is found whatever becomes of their value.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from tools.commands import places
from tools.commands.grammar import UnreadableError
from tools.commands.scene import Scene
from tools.commands.syntax import HOLE, text_of
from tools.commands.text import ANY, MANY, NAME, Part, Text, joined, lit

if TYPE_CHECKING:
    from tree_sitter import Node

_WORD_NODES = frozenset(
    {
        *(
            "word",
            "string",
            "raw_string",
            "ansi_c_string",
            "translated_string",
            "concatenation",
            "simple_expansion",
        ),
        *("expansion", "command_substitution", "process_substitution", "arithmetic_expansion", "number", "array"),
        *("brace_expression", "variable_name", "special_variable_name", "extglob_pattern", "regex", "subscript"),
        *("test_operator", "file_descriptor"),
    }
)


class Walker(Protocol):
    """What expanding needs of the one who walks the tree."""

    def output_of(self, node: Node, scene: Scene) -> Text:
        """Walk the statements in a substitution; what they print."""

    def arithmetic(self, node: Node, scene: Scene) -> None:
        """Walk an arithmetic expression."""

    def count_assignment(self, name: str) -> None:
        """Note that the variable is assigned."""


def is_word(node: Node) -> bool:
    """Is it (a part of) a word?"""
    return node.type in _WORD_NODES


# A word in the making: parts, letters that stand unquoted (and may be signs), and where it breaks.
Atom = tuple[str, str | Part]
_BREAK: Atom = ("break", "")
_MANY: Atom = ("many", "")


def words_of(node: Node, scene: Scene, walker: Walker) -> list[Text]:
    """The words that a node becomes: one, or by splitting and braces any number."""
    if node.type == "string":
        spread = _spread(node, scene, walker)
        if spread is not None:
            return spread
    if node.type == "process_substitution":
        output = walker.output_of(node, _fed(node, scene))
        return [Text((Part("lit", "/dev/fd/63"),), output=output)]
    found: list[Text] = []
    for atoms in _braced(_atoms(node, scene, walker)):
        found += _split(atoms)
    return found


def _fed(node: Node, scene: Scene) -> Scene:
    """Where the commands of `<(…)` and `>(…)` run; the latter read whatever is written there."""
    inside = scene.copy()
    if text_of(node).startswith(">"):
        inside.stdin = ANY
    return inside


def text_from(node: Node, scene: Scene, walker: Walker) -> Text:
    """The one text that a node becomes where nothing is split: in assignments and `case`."""
    words = words_of(node, scene, walker)
    if len(words) == 1 and not words[0].many:
        return words[0]
    return _quoted(_atoms(node, scene, walker)) if node.type != "process_substitution" else ANY


def _spread(node: Node, scene: Scene, walker: Walker) -> list[Text] | None:
    """`"$@"` and `"${array[@]}"`: a word for each."""
    inner = [child for child in node.children if child.type != '"']
    if len(inner) != 1 or text_of(node) != f'"{text_of(inner[0])}"':
        return None
    match = re.fullmatch(r"\$\{(\w+)\[@\]\}|\$(@)|\$\{(@)\}", text_of(inner[0]))
    if match is None:
        return None
    return list(scene.words(match[1] or "@"))


def _quoted(atoms: list[Atom]) -> Text:
    pieces = []
    for kind, value in atoms:
        if isinstance(value, Part):
            pieces.append(Text((value,)))
        elif kind == "many":
            pieces.append(ANY)
        elif kind != "break":
            pieces.append(lit(value))
        else:
            pieces.append(lit(" "))
    return joined(*pieces)


def _atoms(node: Node, scene: Scene, walker: Walker) -> list[Atom]:
    kind, text = node.type, text_of(node)
    if kind in {
        "word",
        "number",
        "variable_name",
        "extglob_pattern",
        "regex",
        "special_variable_name",
        "test_operator",
    }:
        return _unquoted(text, at_start=True)
    if kind == "brace_expression":
        return [("part", Part("name"))] if re.fullmatch(r"\{-?\w+\.\.-?\w+(\.\.-?\d+)?\}", text) else [_MANY]
    if kind == "raw_string":
        return [("quoted", text[1:-1])]
    if kind == "ansi_c_string":
        return _ansi(text[2:-1])
    if kind in {"string", "translated_string"}:
        return _in_quotes(node, scene, walker)
    if kind == "concatenation":
        return _concatenated(node, scene, walker)
    value = _value(node, scene, walker)
    return _loose(value, scene)


def _concatenated(node: Node, scene: Scene, walker: Walker) -> list[Atom]:
    for one, other in pairwise(node.children):
        if one.end_byte != other.start_byte:
            raise UnreadableError("has a word that cannot be read for certain")
    found: list[Atom] = []
    for number, child in enumerate(node.children):
        if child.type == "$":
            following = node.children[number + 1].type if number + 1 < len(node.children) else ""
            found += [] if following == "string" else [("quoted", "$")]
        elif child.type in {"word", "extglob_pattern"}:
            found += _unquoted(text_of(child), at_start=number == 0)
        elif child.type == "process_substitution":
            walker.output_of(child, _fed(child, scene))
            found.append(_MANY)
        elif is_word(child):
            found += _atoms(child, scene, walker)
        elif child.type in {"`", "``"}:
            raise UnreadableError("has a word that cannot be read for certain")
        else:
            found += _unquoted(text_of(child), at_start=False)
    return found


def _unquoted(text: str, *, at_start: bool) -> list[Atom]:
    """The letters of a word without quotes: backslashes taken away, signs kept apart."""
    found: list[Atom] = []
    tilde = re.match(r"~(?:/|$)", text) if at_start else None
    if tilde:
        found, text = [("quoted", places.HOME)], text[1:]
    elif at_start and text.startswith("~"):
        found, text = [_MANY], ""
    for match in re.finditer(r"\\(\n)|\\(.)|([^\\])|\\", text, re.DOTALL):
        escaped, plain = match[2], match[3]
        if plain == HOLE or escaped == HOLE:
            found.append(("part", Part("name")))
        elif escaped is not None:
            found.append(("quoted", escaped))
        elif plain is not None:
            found.append(("sign", plain) if plain in "*?[]{},!" else ("quoted", plain))
    return found


_ANSI = {
    "n": "\n",
    "t": "\t",
    "\\": "\\",
    "'": "'",
    '"': '"',
    "?": "?",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
}


def _ansi(text: str) -> list[Atom]:
    """`$'…'` as bash reads it. Other shells read `$` and a quoted text, in which nothing runs."""
    found = ""
    for match in re.finditer(
        r"\\x([0-9a-fA-F]{1,2})|\\u([0-9a-fA-F]{1,4})|\\([0-7]{1,3})|\\(.)|(.)", text, re.DOTALL
    ):
        code = match[1] or match[2]
        if code or match[3]:
            found += chr(int(code, 16) if code else int(match[3], 8) & 0xFF)
        elif match[4]:
            if match[4] not in _ANSI:
                return [("part", Part("any"))]
            found += _ANSI[match[4]]
        else:
            found += match[5]
    return [("part", Part("any"))] if "\0" in found else [("quoted", found)]


def _in_quotes(node: Node, scene: Scene, walker: Walker) -> list[Atom]:
    """Text in double quotes."""
    return [("part", part) for part in quoted_text(node, scene, walker, '"').parts] or [("quoted", "")]


def quoted_text(node: Node, scene: Scene, walker: Walker, quote: str) -> Text:
    """The text of a node in which expansions happen and nothing is split; `quote` begins and ends it.

    Letters are taken from between the expansions, whatever the tree calls them.
    """
    source, start = node.text or b"", node.start_byte
    pieces: list[Text] = []
    at = source.index(quote.encode()) + 1 if quote else 0
    end = len(source) - len(quote)
    for child in node.children:
        if child.type in {'"', "$", "string_content", "heredoc_content"}:
            continue
        inner = child.text or b""  # which may begin with the blanks before it
        blanks = inner[: len(inner) - len(inner.lstrip())]
        pieces += [_plain(source[at : child.start_byte - start] + blanks, quote), _value(child, scene, walker)]
        at = child.end_byte - start
    return joined(*pieces, _plain(source[at:end], quote))


def _plain(raw: bytes, quote: str) -> Text:
    text = raw.decode("utf-8", "replace")
    if re.match(rf"(?:[^\\]|\\.)*?(?:`|\$[({{]{'|' if quote else ''}{quote})", text, re.DOTALL):
        raise UnreadableError("has a text that cannot be read for certain")
    # An unknown kind of expansion would begin with a dollar and a letter.
    parts = re.split(rf"{HOLE}", re.sub(r"\\(\n)|\\([$`\"\\])", lambda match: match[2] or "", text))
    pieces = [lit(parts[0])]
    for part in parts[1:]:
        pieces += [NAME, lit(part)]
    if re.search(r"(?<!\\)\$[A-Za-z_@*#?!0-9]", text):
        pieces.append(ANY)
    return joined(*pieces)


def _value(node: Node, scene: Scene, walker: Walker) -> Text:
    """What an expansion stands for, unsplit."""
    from tools.commands import parameters  # it expands words in its turn

    kind = node.type
    if kind == "simple_expansion":
        return parameters.simple(text_of(node).lstrip()[1:], scene)
    if kind == "expansion":
        return parameters.expansion(node, scene, walker)
    if kind == "command_substitution":
        output = walker.output_of(node, scene)
        known = output.literal
        return lit(known.rstrip("\n")) if known is not None else Text(output.parts)
    if kind == "arithmetic_expansion":
        walker.arithmetic(node, scene)
        return NAME
    if kind == "process_substitution":
        walker.output_of(node, scene)
        return ANY
    if is_word(node):
        return text_from(node, scene, walker)
    raise UnreadableError(f"holds {kind.replace('_', ' ')}, which cannot be read for certain")


def _loose(value: Text, scene: Scene) -> list[Atom]:
    """An expansion that stands unquoted: known letters are split at blanks, unknown ones may be anything."""
    found: list[Atom] = []
    for part in value.parts:
        if part.kind == "name":
            found.append(("part", part))
        elif part.kind != "lit" or scene.odd:
            return [_MANY]
        else:
            for piece in re.split(r"([ \t\n]+)", part.text):
                if piece.isspace():
                    found.append(_BREAK)
                else:
                    found += [("sign" if char in "*?[]" else "quoted", char) for char in piece]
    return [_MANY] if value.many else found or [("nothing", "")]


def _braced(atoms: list[Atom], depth: int = 0) -> list[list[Atom]]:
    """Every word that `{a,b}` makes."""
    opened = next((at for at, atom in enumerate(atoms) if atom == ("sign", "{") and _closing(atoms, at)), None)
    if opened is None or depth > 6:
        return [atoms if opened is None else [_MANY]]
    commas = _closing(atoms, opened)
    close, found = commas[-1], list[list[Atom]]()
    for start, end in pairwise([opened, *commas]):
        for middle in _braced(atoms[start + 1 : end], depth + 1):
            found += [[*atoms[:opened], *middle, *rest] for rest in _braced(atoms[close + 1 :], depth + 1)]
            if len(found) > 64:
                return [[_MANY]]
    return found


def _closing(atoms: list[Atom], opened: int) -> list[int]:
    """Where the commas and the closing brace of the brace at `opened` stand; empty when it is just a brace."""
    depth, commas = 0, list[int]()
    for at in range(opened, len(atoms)):
        if atoms[at] == ("sign", "{"):
            depth += 1
        elif atoms[at] == ("sign", ",") and depth == 1:
            commas.append(at)
        elif atoms[at] == ("sign", "}"):
            depth -= 1
            if depth == 0:
                return [*commas, at] if commas else []
    return []


def _split(atoms: list[Atom]) -> list[Text]:
    """The words that atoms make, patterns recognised. Nothing at all, unquoted, is no word."""
    found: list[Text] = []
    for start, end in pairwise([-1, *(at for at, atom in enumerate(atoms) if atom == _BREAK), len(atoms)]):
        word = atoms[start + 1 : end]
        if _MANY in word:
            before = word[: word.index(_MANY)]
            found += [joined(_one(before), ANY), MANY] if before else [MANY]
        elif any(kind != "nothing" for kind, _ in word):
            found.append(_one(word))
    return found


def _one(atoms: list[Atom]) -> Text:
    globbing = any(atom in (("sign", "*"), ("sign", "?")) for atom in atoms) or _has_class(atoms)
    pieces = []
    for kind, value in atoms:
        if isinstance(value, Part):
            pieces.append(Text((value,)))
        elif globbing and kind == "sign" and value in "*?[":
            pieces.append(Text((Part("glob", value),)))
        else:
            pieces.append(lit(value))
    return joined(*pieces)


def _has_class(atoms: list[Atom]) -> bool:
    at = next((at for at, atom in enumerate(atoms) if atom == ("sign", "[")), None)
    return at is not None and ("sign", "]") in atoms[at + 1 :]
