"""From the nodes of a tree to words: what the shell makes of quotes, variables, braces and patterns.

Threat model: a value that is not known is a hole, and one that stands unquoted may be any number of words, or an
option. Substitutions are walked wherever they stand: what they do is found whatever becomes of their value.

It is one file since quotes, variables, braces and patterns stand inside each other.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from tools.commands import places
from tools.commands.grammar import UnreadableError
from tools.commands.scene import Scene, Value
from tools.commands.syntax import HOLE, text_of
from tools.commands.text import ANY, DASH, MANY, NAME, NUMBER, Part, Text, joined, lit

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

    def evaluate(self, value: Text, shown: str, scene: Scene) -> None:
        """Note what looking for a variable of that name could run."""

    def assign(self, name: str, value: Value, shown: str, scene: Scene) -> None:
        """Note that the variable gets the value."""

    def may_stop(self, scene: Scene) -> None:
        """Note that what follows on the line may not happen."""


def is_word(node: Node) -> bool:
    """Is it (a part of) a word?"""
    return node.type in _WORD_NODES


# A word in the making: parts (loose: unquoted), letters that stand unquoted (may be signs), and where it breaks.
Atom = tuple[str, str | Part]
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
    if node.type == "process_substitution":
        return words_of(node, scene, walker)[0]
    return _quoted(_atoms(node, scene, walker))


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
        else:
            pieces.append(lit(value))
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
        return _unquoted(text, scene, at_start=True)
    if kind == "brace_expression":
        return _range(text)
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
            found += _unquoted(text_of(child), scene, at_start=number == 0)
        elif child.type == "process_substitution":
            walker.output_of(child, _fed(child, scene))
            found.append(_MANY)
        elif is_word(child):
            found += _atoms(child, scene, walker)
        elif child.type in {"`", "``"}:
            raise UnreadableError("has a word that cannot be read for certain")
        else:
            found += _unquoted(text_of(child), scene, at_start=False)
    return found


def _range(text: str) -> list[Atom]:
    """`{1..9}`: its words as if they stood there, if they are few; else two that may be any of them."""
    words: list[list[Atom]] = []
    match = re.fullmatch(r"\{(0|-?[1-9]\d{0,5})\.\.(0|-?[1-9]\d{0,5})\}", text)
    if match is not None:
        first, last = int(match[1]), int(match[2])
        way = 1 if first <= last else -1
        words = [[("quoted", str(number))] for number in range(first, last + way, way)[: MAX_WORDS + 1]]
    elif not re.fullmatch(r"\{(-?\d+\.\.-?\d+|[a-z]\.\.[a-z]|[A-Z]\.\.[A-Z])(\.\.-?\d+)?\}", text):
        return [_MANY]
    if not 0 < len(words) <= MAX_WORDS:
        words = [[("part", DASH), ("part", Part("name"))]] * 2
    found: list[Atom] = [("sign", "{"), *words[0]]
    for word in words[1:] or [list[Atom]()]:
        found += [("sign", ","), *word]
    return [*found, ("sign", "}")] if len(words) > 1 else words[0]


def _unquoted(text: str, scene: Scene, *, at_start: bool) -> list[Atom]:
    """The letters of a word without quotes: backslashes taken away, signs kept apart."""
    found: list[Atom] = []
    tilde = re.match(r"~(?:/|$)", text) if at_start else None
    if tilde:
        found, text = [("quoted", places.HOME) if "HOME" not in scene.changed else _MANY], text[1:]
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


MAX_WORDS = 24
"""Words of a range that are followed one by one."""

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
    text = quoted_text(node, scene, walker, '"')
    found: list[Atom] = [("part", part) for part in text.parts]
    if text.many:
        known = next((at for at, part in enumerate(text.parts) if part.kind == "any"), 0)
        return [*found[:known], _MANY]
    return found or [("quoted", "")]


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
        pieces += [_plain(source[at : child.start_byte - start] + blanks, quote), _one_value(child, scene, walker)]
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


def _without_newlines(output: Text) -> Text:
    """What `$(…)` makes of an output: the newlines at its end are dropped."""
    parts = list(output.parts)
    while parts and parts[-1].kind == "lit":
        kept = parts.pop().text.rstrip("\n")
        if kept:
            parts.append(Part("lit", kept))
            break
    if len(parts) > 1 and any("\n" in part.text for part in parts):
        return ANY
    return Text(tuple(parts) or (Part("lit", ""),))


def _one_value(node: Node, scene: Scene, walker: Walker) -> Text:
    """What an expansion in a quoted text stands for: `$@` there makes words of the text, unless it is one."""
    shown = text_of(node).strip()
    if shown in {"$@", "${@}"}:
        words = scene.words("@")
        return MANY if len(words) > 1 else words[0] if words else lit("")
    value = _value(node, scene, walker)
    return value if re.match(r"\$\{(!|@|\w+\[@)", shown) else Text(value.parts)


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
        return _without_newlines(output)
    if kind == "arithmetic_expansion":
        walker.arithmetic(node, scene)
        return NUMBER
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
        one_word = part.kind == "opt" and not scene.odd and not re.search(r"[\s*?\[\]]", part.text)
        if part.kind in {"name", "maybe"} or part == DASH or one_word:
            found.append(("loose", part))
        elif part.kind != "lit" or scene.odd:
            return [_MANY]
        else:
            for piece in re.split(r"([ \t\n]+)", part.text):
                if piece.isspace():
                    found.append(("break", piece))
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
    for start, end in pairwise([-1, *(at for at, (kind, _) in enumerate(atoms) if kind == "break"), len(atoms)]):
        word = atoms[start + 1 : end]
        if _MANY in word:
            before = word[: word.index(_MANY)]
            found += [joined(_one(before), ANY), MANY] if before else [MANY]
        elif any(kind != "nothing" for kind, _ in word):
            made = _one(word)
            found.append(Text(made.parts, many=True) if all(_may_vanish(atom) for atom in word) else made)
    return found


def _may_vanish(atom: Atom) -> bool:
    """May it be nothing at all? What `mktemp` names is there, unless nothing can be written anyway."""
    kind, part = atom
    if kind != "loose" or not isinstance(part, Part):
        return kind == "nothing"
    return part.kind == "maybe" or (part.kind == "opt" and not part.text.startswith("/tmp/"))  # noqa: S108


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
