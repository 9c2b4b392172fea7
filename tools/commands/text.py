"""What is known of a word of a command: its letters as far as they stand in the line, and holes where they do not.

Threat model: the line is the model's. A hole stands for every value it could have, so it is only narrowed (to
names, to paths below a folder) where the shell itself guarantees it; everything else is ANY.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["lit", "glob", "name", "maybe", "opt", "below", "stem", "any"]
"""lit: these letters. glob: a pattern for names that exist. name: a word of letters, digits, dots and dashes that
has a letter or a digit and does not begin with a dash. maybe: letters and digits, or nothing. opt: the letters of
`text`, or nothing. below: a path without `..`. stem: anything without a slash, or nothing. any: anything at all.
"""
MAX_VARIANTS = 8


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a word; `text` is the letters of `lit` and `opt`, and the pattern of `glob`."""

    kind: Kind
    text: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """One word, or the output of a command.

    `many`: it may stand for any number of words. `output`: what can be read from it, if it is `<(…)`. `items`: of
    an output, the names in it that zero bytes divide; `lines`: those that ends of lines divide.
    """

    parts: tuple[Part, ...] = ()
    many: bool = False
    output: Text | None = None
    items: tuple[Text, ...] = ()
    lines: tuple[Text, ...] = ()

    @property
    def literal(self) -> str | None:
        """The letters, if all are known."""
        if self.many or any(part.kind != "lit" for part in self.parts):
            return None
        return "".join(part.text for part in self.parts)

    @property
    def prefix(self) -> str:
        """The letters that it begins with for certain ("" where it may be no word at all)."""
        found = ""
        for part in () if self.many else self.parts:
            if part.kind != "lit":
                break
            found += part.text
        return found

    @property
    def is_literal(self) -> bool:
        return self.literal is not None

    @property
    def wild(self) -> bool:
        """Is there a part that may be anything?"""
        return self.many or any(part.kind == "any" for part in self.parts)

    @property
    def tame(self) -> bool:
        """Is it one plain word, if any: known digits and names, in which nothing can hide?"""
        return all(
            part.kind in {"name", "maybe"}
            or part == DASH
            or (part.kind in {"lit", "opt"} and part.text.replace("_", "").isalnum())
            for part in self.parts
        )

    @property
    def is_file_name(self) -> bool:
        """Is it a name with a suffix, as `*.py` matches, which as an option could not name a place elsewhere?"""
        plain = not self.many and all(part.kind in {"lit", "glob", "stem", "name"} for part in self.parts)
        return plain and "/" not in self.shown() and re.search(r"\.[A-Za-z0-9]+$", self.parts[-1].text) is not None

    def may_be_option(self) -> bool:
        """Could it begin with a dash, as far as is known? A number could, and is no option for that."""
        for part in self.parts:
            if part.kind in {"lit", "opt"} and part.text and part != DASH:
                if part.kind == "lit" or part.text.startswith("-"):
                    return part.text.startswith("-")
            elif part.kind in {"glob", "stem", "any", "below"}:
                return True
            elif part.kind == "name":
                return False
        return False

    def cut(self, count: int) -> Text:
        """What is left when the first `count` known letters are taken away."""
        parts = list(self.parts)
        while count and parts:
            first = parts.pop(0)
            if len(first.text) > count:
                parts.insert(0, Part(first.kind, first.text[count:]))
                break
            count -= len(first.text)
        return Text(tuple(parts), self.many)

    def shown(self) -> str:
        """For people: holes are dots."""
        return "".join(part.text if part.kind in {"lit", "glob", "opt"} else "…" for part in self.parts)

    def variants(self) -> tuple[Text, ...] | None:
        """All that it is with what may be nothing there or not there; None: too many."""
        found: list[tuple[Part, ...]] = [()]
        for part in self.parts:
            if part.kind in {"maybe", "opt"}:
                there = Part("name") if part.kind == "maybe" else Part("lit", part.text)
                found = [(*each, there) for each in found] + found
            else:
                found = [(*each, part) for each in found]
            if len(found) > MAX_VARIANTS:
                return None
        return tuple(joined(Text(each, self.many)) for each in found)


def lit(text: str) -> Text:
    """A word that is known."""
    return Text((Part("lit", text),))


DASH = Part("opt", "-")
ANY = Text((Part("any"),))
MANY = Text((Part("any"),), many=True)
NAME = Text((Part("name"),))
MAYBE = Text((Part("maybe"),))
NUMBER = Text((DASH, Part("name")))
"""What arithmetic makes: it may be negative."""


def joined(*texts: Text) -> Text:
    """One word from pieces; neighbouring letters become one part."""
    parts: list[Part] = []
    for part in (part for text in texts for part in text.parts):
        if parts and part.kind == parts[-1].kind == "lit":
            parts[-1] = Part("lit", parts[-1].text + part.text)
        elif parts[-1:] == [Part("lit", "")]:
            parts[-1] = part
        elif part != Part("lit", "") or not parts:
            parts.append(part)
    return Text(tuple(parts), any(text.many for text in texts))


def spaced(texts: list[Text]) -> Text:
    """The words with blanks between them, as `echo` prints and `eval` reads them."""
    pieces: list[Text] = []
    for text in texts:
        pieces += [lit(" "), text] if pieces else [text]
    return joined(*pieces)


def either(one: Text, other: Text) -> Text:
    """What is known of a word that is one of the two."""
    if one == other:
        return one
    if one.many or other.many:
        return MANY
    if not (one.tame and other.tame and one.parts and other.parts):
        return ANY
    first = {one.parts[0], other.parts[0]}
    if all(part.kind in {"lit", "name"} for part in first):
        return NAME
    return NUMBER if all(part.kind in {"lit", "name"} or part == DASH for part in first) else ANY


def or_nothing(text: Text) -> Text:
    """The output of a command that may fail and print nothing, and prints this if not."""
    if text == NAME:
        return MAYBE
    known = text.literal
    return Text((Part("opt", known.rstrip("\n")),)) if known is not None else ANY
