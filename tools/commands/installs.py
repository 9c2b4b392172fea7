"""Whether a command fetches and installs packages, for those who said that nothing is to be installed.

Threat model: the command is the model's. The words are those that the walk found, whatever the line made of them;
where one of them is not known, it may install. What a program that runs installs by itself is not seen here.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field

from tools.commands.call import Call, Item, scan
from tools.commands.table import Row, table
from tools.commands.text import Text


class Installs(BaseModel):
    """When commands of these names install. `verbs` are sub-commands, of one or more words, as patterns; `options`
    and `operand` (an expression for a word behind the verb) are needed besides. `alone`: without any sub-command.
    `always`: whatever follows, `unless` one of these options stands in front of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    source: str = Field(min_length=3)
    verbs: tuple[str, ...] = ()
    options: str = ""
    operand: str = ""
    alone: bool = False
    always: bool = False
    unless: str = ""


@cache
def _rows() -> dict[str, list[Installs]]:
    data = tomllib.loads(files("tools").joinpath("data", "installs.toml").read_text(encoding="utf-8"))
    found = defaultdict[str, list[Installs]](list)
    for entry in data["installs"]:
        for name in entry["name"].split():
            found[name].append(Installs.model_validate(entry))
    return dict(found)


_TELLS = frozenset(["--help", "-h", "--version", "-V", "-v", "help", "version"])
_OTHER = Row(name="-", source="none", any=True)


def installs(call: Call) -> bool | None:
    """Does the command install something? None: it may."""
    name = re.sub(r"[-.]?\d+(\.\d+)*$", "", call.name)
    rows = _rows().get(call.name) or _rows().get(name) or []
    if not rows:
        return False
    row = table().row(call.name) or _OTHER
    items = scan(row, call.args)
    found = [_fits(each, row, call, items) for each in rows]
    return True if True in found else None if None in found else False


def _fits(rule: Installs, row: Row, call: Call, items: list[Item]) -> bool | None:
    given = [item.name for item in items if item.kind == "option"]
    front = [word.prefix for word in _front(call.args)]
    if rule.always:
        return not {*rule.unless.split(), *_TELLS} & set(front) and bool(call.args or "-" in call.name)
    if rule.alone:
        return not _TELLS & set(front) and len(front) == len(call.args)
    ended = next((at for at, word in enumerate(call.args) if word.literal == "--"), None)
    if rule.options and not any(_given(option, given, call.args[:ended]) for option in rule.options.split()):
        return False
    if not rule.verbs:
        return True
    places = _places(row, items)
    words = [item.value for item in items if item.kind != "option"]
    found = [_verb(verb.split(), words[at:], rule.operand) for at in places for verb in rule.verbs]
    return True if True in found else None if None in found else False


def _front(args: list[Text]) -> list[Text]:
    """The options before the first other word."""
    end = next((at for at, word in enumerate(args) if not word.prefix.startswith("-")), len(args))
    return args[:end]


def _given(option: str, given: list[str], args: list[Text]) -> bool:
    """Is the option given, among others of one letter or with its value attached?"""
    return (
        option in given
        or any(word.prefix == option or word.prefix.startswith(f"{option}=") for word in args)
        or (len(option) == 2 and any(re.match(rf"-\w*{option[1]}", word.prefix) for word in _front(args)))
    )


def _places(row: Row, items: list[Item]) -> list[int]:
    """Where the sub-command may stand: behind an option that is not known, its value may stand first."""
    places, at, unknown = [0], 0, 0
    for item in items:
        if item.kind == "option":
            unknown += not row.matching(item.name)
        elif at >= 1 + unknown or len(places) > 8:
            break
        else:
            at += 1
            if at <= unknown:
                places.append(at)
    return places


def _verb(verb: list[str], words: list[Text | None], operand: str) -> bool | None:
    for pattern, word in zip(verb, words, strict=False):
        known = word.literal if word is not None else None
        if known is None:
            return None
        if not fnmatchcase(known, pattern):
            return False
    if len(words) < len(verb):
        return False
    if not operand:
        return True
    behind = words[len(verb) :][:1]
    known = behind[0].literal if behind and behind[0] is not None else None
    if behind and known is None:
        return None
    return bool(behind) and re.fullmatch(operand, known or "") is not None
