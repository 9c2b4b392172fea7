"""The names of files that a command prints, one after the other, for `xargs`.

Threat model: a name counts as below the place where the command looks only if no option is given that could
print anything else: a label, a prefix, a format. A name can hold blanks and ends of lines, so whoever takes it for
a line takes it for more than one word at times; `xargs` claims `run` for that.
"""

from __future__ import annotations

import re

from tools.commands.call import Call, Item, operands, options, scan
from tools.commands.table import table
from tools.commands.text import ANY, Part, Text, joined, lit

_BELOW = Text((Part("below"),))
_PRINTS = frozenset(
    ["-print", "-print0", "-printf", "-ls", "-exec", "-execdir", "-ok", "-okdir", "-fprint", "-fprintf", "-fls"]
)
_LISTS = frozenset(["-l", "--files", "--files-with-matches", "--files-without-match", "--name-only"])
_PATTERNS = frozenset(["-e", "-f", "--regexp", "--file", "--files"])
_ZERO = frozenset(["-0", "-z", "-Z", "--null", "--print0", "--zero-terminated"])
_PLAIN = {
    "grep": "-l -L -r -R -i -w -x -v -F -E -P -G -s -I -Z -e -f -m --include --exclude --exclude-dir --null"
    " --recursive --ignore-case --word-regexp --fixed-strings --extended-regexp --files-with-matches"
    " --files-without-match --regexp",
    "rg": "-l -g -t -T -i -w -x -v -F -P -s -S -u -U -e -f -0 -. -L --files --hidden --no-ignore --glob"
    " --iglob --type --type-not --ignore-case --smart-case --fixed-strings --null"
    " --files-with-matches --files-without-match --regexp --word-regexp --max-depth --sort",
    "fd": "-H -I -u -s -i -g -F -t -e -E -d -0 -S --hidden --no-ignore --type --extension --exclude"
    " --max-depth --print0 --glob --search-path --base-directory -C --follow",
    "sort": "-u -r -n -V -f -z --unique --reverse --zero-terminated",
    "uniq": "",
    "head": "-n -z -NUM --lines --zero-terminated",
    "tail": "-n -z -NUM --lines --zero-terminated",
    "ls-files": "-z -m -o -c -d --others --cached --modified --deleted --exclude-standard",
    "git grep": "-l -z -i -w -v -F -E -P -I -e --name-only --files-with-matches --cached",
    "diff": "--name-only --cached --staged -z --diff-filter",
}
"""The options with which a command prints names, or the lines that came in, and nothing else."""


def listed(call: Call) -> Text:
    """What the command prints, the names in it known as far as they are."""
    if call.name == "find":
        return _of_find(call)
    if call.name == "git":
        return _of_git(call)
    if call.name == "fdfind":
        call = Call(call.reader, call.scene, [lit("fd"), *call.args], call.shown)
    row = table().rows[call.name]
    items = scan(row, call.args)
    words, flags = operands(items), options(items)
    lists = call.name in {"grep", "rg"} and (flags & _LISTS or (call.name == "grep" and "-L" in flags))
    if not _only(items, _PLAIN[call.name] + (" -n -H --line-number --with-filename" if lists else "")):
        return ANY
    zero = bool(flags & _ZERO)
    if call.name == "fd":
        from tools.commands.wrappers import fd_starts

        return _printed([joined(start, lit("/"), _BELOW) for start in fd_starts(items)], zero=zero)
    if lists:
        starts = words if flags & _PATTERNS else words[1:]
        found = [joined(start, lit("/"), _BELOW) for start in starts]
        return _printed(found or [_BELOW], zero=zero)
    return _passed_on(call, words, flags)


def _only(items: list[Item], plain: str) -> bool:
    known = plain.split()
    return all(item.kind == "operand" or (item.kind == "option" and item.name in known) for item in items)


def _printed(names: list[Text], *, zero: bool) -> Text:
    found = tuple(names)
    return Text((Part("any"),), items=found) if zero else Text((Part("any"),), lines=found)


def _passed_on(call: Call, words: list[Text], flags: set[str]) -> Text:
    """Filters that print some of the lines that they read."""
    stdin = call.scene.stdin
    given = {"-e"} & flags or call.name != "grep"
    if stdin is None or len(words) != (0 if given else 1) or {"-f", "-r", "-R", "--recursive"} & flags:
        return ANY
    return Text((Part("any"),), items=stdin.items) if flags & _ZERO else Text((Part("any"),), lines=stdin.lines)


def _of_find(call: Call) -> Text:
    from tools.commands.wrappers import find_starts, find_tests, found_at

    row = table().rows["find"]
    starts, rest = find_starts(row, call.args)
    tests = list(find_tests(row, rest))
    prints = [test.name for test in tests if test.name in _PRINTS]
    known = all(test.name and (test.name in row.options or test.name in {"(", ")", "!"}) for test in tests)
    if not known or not set(prints) <= {"-print", "-print0"} or len(set(prints)) > 1:
        return ANY
    return _printed([found_at(start, tests) for start in starts], zero="-print0" in prints)


def _of_git(call: Call) -> Text:
    name = call.args[0].literal if call.args else None
    key = "git grep" if name == "grep" else name or ""
    row = next(iter(table().rows["git"].subs(name)), None) if name in {"ls-files", "diff", "grep"} else None
    if row is None:
        return ANY
    items = scan(row, call.args[1:])
    words, flags = operands(items), options(items)
    if not _only(items, _PLAIN[key]) or (key != "ls-files" and not flags & _LISTS):
        return ANY
    if any(re.search(r"^[/:]|(^|/)\.\.(/|$)", word.literal or "/") for word in words[key == "git grep" :]):
        return ANY
    return _printed([_BELOW], zero="-z" in flags)
