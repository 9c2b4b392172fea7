"""An instruction said otherwise, by rule: in another order, in another format, in other words, with typing errors.

What it asks for stays. Code stays as it is to the letter: blocks, spans, quoted text, and every word that looks
like a name. Sentences change places only where none begins with a word that leans on the one before.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from tasks.format.task import Task
from tasks.making.related import relate

GROUPS = {
    "order": ("order",),
    "format": ("bullets", "issue", "title"),
    "wording": ("wording",),
    "typos": ("typos",),
}
_SYNONYMS = {
    "returns": "gives back", "return": "give back", "wrong": "incorrect", "mend": "repair", "fix": "repair",
    "should": "ought to", "must": "has to", "now": "at present", "cases": "situations", "case": "situation",
    "instead": "in place of that", "because": "since", "also": "as well", "begin": "start", "begins": "starts",
    "raises": "throws", "raise": "throw", "refused": "rejected", "leaves out": "omits", "gives": "yields",
    "give": "yield", "missing": "absent", "empty": "blank", "write": "produce", "add": "introduce",
    "remove": "take out", "change": "alter", "keep": "retain", "make": "have", "uses": "employs", "use": "employ",
    "whole": "entire", "every": "each", "each": "every", "only": "just", "behave": "act", "needed": "required",
}  # fmt: skip
_LEANING = (  # as words between blanks
    "this that these those it its they them then there so but however otherwise also and or for such both neither "
    "after before here again still instead therefore afterwards else because while when where which if"
)
_CODE = re.compile(
    r"(```.*?```|~~~.*?~~~|`+[^`]+`+|\"[^\"\n]*\"|'[^'\n]*'|\S*[_./\\<>=(){}\[\]0-9*|-]\S*)", re.DOTALL
)
_SENTENCE = re.compile(r"(?<=[a-z0-9`)\]][.!?])\s+(?=[A-Z`])")
_ITEM = re.compile(r"(?:[-*+]|\d+[.)]) ")


def write_variants(task: Task, groups: Collection[str], out: Path, seed: int) -> list[str]:
    """The task and its variants below `out`; the names of the variants, of those that differ from the original."""
    shutil.copytree(task.folder, out / task.name, symlinks=True)
    made = []
    for kind in (kind for group in groups for kind in GROUPS[group]):
        text = _KINDS[kind](task.instruction, random.Random(f"{seed} {task.name} {kind}"))  # noqa: S311
        if text.strip() == task.instruction:
            continue
        target = out / f"{task.name}.{kind}"
        shutil.copytree(task.folder, target, symlinks=True)
        (target / "instruction.md").write_text(text.strip() + "\n", encoding="utf-8")
        relate(target, "variant_of", task.name)
        made.append(target.name)
    return made


def wording(text: str, _: random.Random) -> str:
    """Other words from a closed table, with the same capitals."""
    words = "|".join(sorted(map(re.escape, _SYNONYMS), key=len, reverse=True))
    pattern = re.compile(rf"\b({words})\b", re.IGNORECASE)

    def other(found: re.Match[str]) -> str:
        new = _SYNONYMS[found[0].lower()]
        return new[0].upper() + new[1:] if found[0][0].isupper() else new

    return _prose(text, lambda part: pattern.sub(other, part))


def typos(text: str, chance: random.Random) -> str:
    """Two neighbouring letters swapped within some of the longer words, never the first or the last."""

    def slip(found: re.Match[str]) -> str:
        word = found[0]
        if chance.random() > 0.12:
            return word
        at = chance.randrange(1, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    return _prose(text, lambda part: re.sub(r"\b[a-z]{6,}\b", slip, part))


def order(text: str, _: random.Random) -> str:
    """Items of lists, paragraphs, or else sentences, the other way round, where each can stand for itself."""
    paragraphs = _paragraphs(text)
    turned = [_turn_items(each) for each in paragraphs]
    if turned == paragraphs:
        turned = _turn(paragraphs) if _free(paragraphs) and len(paragraphs) > 1 else paragraphs
    if turned == paragraphs:
        turned = [_turn_sentences(each) for each in paragraphs]
    return "\n\n".join(turned)


def bullets(text: str, _: random.Random) -> str:
    """Every sentence an item of a list."""
    parts = [_as_items(each) for each in _paragraphs(text)]
    return "\n".join(part for part in parts if part)


def issue(text: str, _: random.Random) -> str:
    """As the form of an issue tracker asks for it."""
    first, rest = _first(text)
    parts = ["## Summary", first, "## Details", rest or "See above.", "## Expected", "As described."]
    return "\n\n".join(parts)


def title(text: str, _: random.Random) -> str:
    """A short heading, and the details below."""
    first, rest = _first(text)
    head = first.rstrip(".:") if len(first) <= 80 and "\n" not in first else "Something to do here"
    return f"# {head}\n\n{rest if head != 'Something to do here' and rest else text}"


_KINDS: dict[str, Callable[[str, random.Random], str]] = {
    "order": order,
    "bullets": bullets,
    "issue": issue,
    "title": title,
    "wording": wording,
    "typos": typos,
}


def _prose(text: str, change: Callable[[str], str]) -> str:
    """The text with what is no code changed."""
    parts = _CODE.split(text)
    return "".join(part if number % 2 else change(part) for number, part in enumerate(parts))


def _paragraphs(text: str) -> list[str]:
    """Parts between blank lines; a block of code, and what is indented below a list's item, stay in one piece."""
    found: list[str] = []
    fenced = False
    for part in re.split(r"\n\s*\n", text.strip()):
        if found and (fenced or part.startswith((" ", "\t"))):
            found[-1] += f"\n\n{part}"
        else:
            found.append(part)
        fenced ^= part.count("```") % 2 == 1
    return found


def _first(text: str) -> tuple[str, str]:
    """The first sentence and the rest."""
    head, *others = _paragraphs(text)
    if _ITEM.match(head) or "```" in head:
        return "Something to do here.", text
    first, *more = _SENTENCE.split(head)
    rest = [" ".join(more)] if more else []
    return first, "\n\n".join([*rest, *others])


def _items(paragraph: str) -> list[str]:
    """The items of a list with what is indented below them; nothing where it is no list."""
    lines = paragraph.split("\n")
    items: list[str] = []
    for line in lines:
        if _ITEM.match(line):
            items.append(line)
        elif items and (line.startswith((" ", "\t")) or not line):
            items[-1] += f"\n{line}"
        else:
            return []
    return items


def _turn_items(paragraph: str) -> str:
    items = _items(paragraph)
    numbered = any(item[:1].isdigit() for item in items)
    return paragraph if numbered or len(items) < 2 or not _free(items) else "\n".join(_turn(items))


def _turn_sentences(paragraph: str) -> str:
    sentences = _SENTENCE.split(paragraph)
    fixed = "```" in paragraph or _items(paragraph) or len(sentences) < 2 or not _free(sentences)
    return paragraph if fixed else "\n".join(_turn(sentences))


def _turn(parts: list[str]) -> list[str]:
    return parts[::-1]


def _free(parts: list[str]) -> bool:
    """Whether each part can stand anywhere: none begins with a word that leans on another part, or leads to it."""
    words = [re.sub(r"^(?:[-*+] |#+ )", "", part).split(" ")[0].strip(",`*").lower() for part in parts]
    leaning = set(_LEANING.split(" "))
    return not leaning & set(words) and not any(part.rstrip().endswith(":") for part in parts)


def _as_items(paragraph: str) -> str:
    if _items(paragraph) or "```" in paragraph or paragraph.startswith("#"):
        return f"{paragraph}\n" if "```" in paragraph and not _items(paragraph) else paragraph
    return "\n".join("- " + " ".join(each.split("\n")) for each in _SENTENCE.split(paragraph))
