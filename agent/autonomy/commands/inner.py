"""The commands that other commands start: what follows `sudo`, the text after `sh -c`, what `xargs` is given.

Threat model: see `line.py`. A wrapper's option that is not listed here may or may not take a value, so both
readings are listed. Too many levels end in a command that may be any.
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from agent.autonomy.commands.line import ANYTHING, HOLE, Command, Line, Word, read_line

MAX_DEPTH = 8
MAX_COMMANDS = 300
"""Different commands of a line that are listed; where there are more, one more stands for all of them."""
MAX_TEXT = 256 << 10
"""Characters of all the lines in a line together."""
MAX_STARTS = 12
"""Words that a line which another command takes may begin with."""

SHELLS = frozenset(["sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "rbash"])
RESERVED = re.compile(r"[{}!]|if|then|elif|else|fi|do|done|while|until|for|case|esac|select|function")
"""Words that no command is called by: bash takes them for its own."""


class Wrapper(NamedTuple):
    """How a command that starts another one is written: options without and with a value, operands in front."""

    flags: str = ""
    valued: str = ""
    skip: int = 0
    more: bool = False
    """The command gets more words than stand in the line."""


def _wrappers(text: str) -> dict[str, Wrapper]:
    rows = {}
    for line in text.strip().splitlines():
        names, flags, valued, skip = (part.strip() for part in line.split("|"))
        for name in names.split():
            row = Wrapper(f" {flags} ", f" {valued} ", int(skip or 0), name in {"xargs", "parallel"})
            rows[name] = row
    return rows


WRAPPERS = _wrappers(
    """
    sudo | -E -H -n -S -b -k -i -s | -u -g -p -C -D -R -T -h -r -t --user --group | 0
    doas | -n -s | -u -C | 0
    env | -i -0 -v - --ignore-environment | -u -C --unset --chdir | 0
    nice | | -n --adjustment | 0
    ionice | -t | -c -n -p --class --classdata | 0
    nohup setsid fakeroot command builtin exec time coproc catchsegv xvfb-run | -p -v -V -f -w -c -l -a | | 0
    timeout | -v --foreground --preserve-status --verbose | -k -s --kill-after --signal | 1
    stdbuf | | -i -o -e --input --output --error | 0
    chroot | | --userspec --groups | 1
    taskset | -a -p -c | | 1
    chrt | -b -f -i -o -r | -T -P -D | 1
    flock | -n -s -x -e -o -u --nonblock --shared --exclusive | -w -E --timeout | 1
    strace ltrace | -f -ff -q -qq -c -C -T -t -tt -v -y | -e -o -p -s -E -u -P | 0
    unshare setpriv nsenter | -r -m -n -p -f -u -i -U | -S -G -R -w | 0
    xargs | -0 -r -t -p -x --null --no-run-if-empty | -a -d -E -I -L -n -P -s --max-args --delimiter | 0
    parallel | -k -0 --keep-order --no-notice | -j -n -N -I -a -C --jobs --colsep | 0
    busybox toybox rlwrap | | | 0
    jobs | -l -n -p -r -s -x | | 0
    npx bunx pnpx uvx pipx-run | -y --yes | -p --package --from --with | 0
    """
)
RUNNERS = {
    ("uv", "run"): " -m -p --python --with --extra --group --directory --project ",
    ("poetry", "run"): "",
    ("pipenv", "run"): "",
    ("pdm", "run"): "",
    ("hatch", "run"): "",
    ("rye", "run"): "",
    ("conda", "run"): " -n -p --name --prefix --cwd ",
    ("mamba", "run"): " -n -p --name --prefix --cwd ",
    ("bundle", "exec"): "",
    ("npm", "exec"): " --package -c ",
    ("pnpm", "exec"): "",
    ("yarn", "exec"): "",
    ("git", "bisect", "run"): "",
}
"""Commands with a word that makes the rest a command, and their options with a value."""


_GIVEN = re.compile(
    r"--[\w-]*(?:command|program|exec|action|pack|filter|cmd)[\w-]*=(?:exec=)?(.*\w.*)", re.DOTALL | re.IGNORECASE
)
"""An option of any program that takes a command, by its name."""


def every_command(text: str) -> Line:
    """All commands of a line: those of its syntax tree, and those that these start. Never raises."""
    line = read_line(text)
    read = len(text)
    found: dict[Command, None] = {}
    writes = list(line.writes)
    whole = line.whole
    waiting = [(command, 0) for command in reversed(line.commands)]
    while waiting:
        command, depth = waiting.pop()
        if command in found:
            continue
        found[command] = None
        if len(found) > MAX_COMMANDS or depth > MAX_DEPTH:
            return Line((*found, ANYTHING), tuple(writes), whole=False)
        for inner in _inner(command):
            if isinstance(inner, Command):
                waiting.append((inner, depth + 1))
                continue
            read += len(inner)
            if read > MAX_TEXT:
                return Line((*found, ANYTHING), tuple(writes), whole=False)
            nested = read_line(inner)
            writes += nested.writes
            whole = whole and nested.whole
            waiting += [(each, depth + 1) for each in reversed(nested.commands)]
    return Line(tuple(found), tuple(writes), whole)


def _inner(command: Command) -> Iterator[Command | str]:
    """The commands, or lines of shell text, that a command starts itself."""
    name, words = command.name, command.words
    for word in words[1:]:
        if word.known and (given := _GIVEN.fullmatch(word.text)):
            yield given[1]
    if name is None:
        return
    if RESERVED.fullmatch(name):  # the tree has it wrong
        yield ANYTHING
        if len(words) > 1:
            yield _from(command, 1)
    elif name in SHELLS:
        yield from _of_shell(words[1:])
    elif name == "eval":
        yield from _lines(words[1:])
    elif name in {".", "source"}:
        if words[1:] and (not words[1].known or words[1].text.startswith(("/dev/", "/proc/"))):
            yield ANYTHING
    elif name in {"trap", "watch", "alias", "ssh", "su", "script", "runuser", "nix-shell"}:
        yield from _text_argument(name, words[1:])
    elif name in {"find", "fd", "fdfind"}:
        yield from _of_find(command)
    elif name == "git":
        yield from _of_git(words[1:])
    if name in WRAPPERS:
        yield from _wrapped(command, WRAPPERS[name])
    for runner, valued in RUNNERS.items():
        if runner[0] == name and tuple(word.text for word in words[: len(runner)])[1:] == runner[1:]:
            yield from _suffixes(command, len(runner), Wrapper("", f" {valued} "))


def _from(command: Command, at: int, more: tuple[Word, ...] = ()) -> Command:
    """The command that begins at a word of this one."""
    words = command.words[at:]
    return Command((*words, *more), (), _joined(words))


def _joined(words: tuple[Word, ...]) -> str:
    return " ".join(map(_spelled, words))


def _spelled(word: Word) -> str:
    return shlex.quote(word.text) if word.known else word.text if word.kind == "glob" else "$_"


def _of_shell(words: tuple[Word, ...]) -> Iterator[Command | str]:
    """`-c TEXT`, a script, or whatever comes in."""
    at, text = 0, False
    while at < len(words):
        word = words[at]
        if not word.known:
            yield ANYTHING
            return
        if not word.text.startswith(("-", "+")) or word.text in {"-", "--"}:
            at += word.text in {"-", "--"}
            break
        cluster = not word.text.startswith("--")
        text = text or (cluster and word.text.startswith("-") and "c" in word.text)
        takes = (cluster and word.text[-1] in "oO") or word.text in {"--rcfile", "--init-file"}
        at += 2 if takes else 1
    rest = words[at:]
    if not rest or (not text and rest[0].known and rest[0].text.startswith(("/dev/", "/proc/"))):
        yield ANYTHING  # it reads what is put in
    elif text:
        yield from _lines(rest[:1])
    elif not rest[0].known:
        yield ANYTHING


def _lines(words: tuple[Word, ...]) -> Iterator[Command | str]:
    """Words that are read as shell text, joined."""
    if all(word.known for word in words):
        yield " ".join(word.text for word in words)
    else:
        yield ANYTHING


def _text_argument(name: str, words: tuple[Word, ...]) -> Iterator[Command | str]:
    """Commands that take shell text as an argument."""
    if name == "trap":
        yield from _lines(words[:1])
        return
    if name == "alias":
        for word in words:
            yield from _lines((Word(word.text.partition("=")[2], word.kind, word.many),))
        return
    if name in {"su", "script", "runuser", "nix-shell"}:
        for number, word in enumerate(words):
            if not word.known:
                yield ANYTHING
            elif word.text in {"-c", "--command", "--run"} or re.fullmatch(r"-\w*c", word.text):
                yield from _lines(words[number + 1 : number + 2])
        return
    # watch and ssh: whatever follows is a line; which words are options is not looked up.
    for at in range(min(len(words), MAX_STARTS)):
        yield from _lines(words[at:])
    if len(words) > MAX_STARTS:
        yield ANYTHING


def _of_find(command: Command) -> Iterator[Command]:
    """What `-exec` and its like run, for each file found."""
    starts = {"-exec", "-execdir", "-ok", "-okdir", "-x", "-X", "--exec", "--exec-batch"}
    words = command.words
    given_starts = list(itertools.takewhile(lambda word: word.text[:1] not in {"-", "(", "!"}, words[1:]))
    one = len(given_starts) <= 1 and all(word.known for word in given_starts) and command.name == "find"
    found = Word(given_starts[0].text if given_starts else ".", "below", many=True) if one else HOLE
    for at, word in enumerate(words):
        if word.known and word.text in starts:
            ends = (n for n in range(at + 1, len(words)) if words[n].known and words[n].text in {";", "+"})
            part = words[at + 1 : next(ends, len(words))]
            if part:
                given = tuple(_filled(word, found) for word in part)
                yield Command(given, (), _joined(part))


def _filled(word: Word, found: Word) -> Word:
    """A word in which what was found stands for `{}`."""
    if not word.known or "{" not in word.text:
        return word
    return found if word.text == "{}" else HOLE


def _of_git(words: tuple[Word, ...]) -> Iterator[Command | str]:
    """Aliases given in the line, and sub-commands that run text."""
    for number, word in enumerate(words):
        following = words[number + 1 : number + 2]
        if not word.known:
            continue
        if word.text == "-c" and following and "=" in following[0].text:
            name, _, value = following[0].text.partition("=")
            if value.startswith("!") or not name.lower().startswith("alias."):
                yield from _lines((Word(value.lstrip("!"), following[0].kind),))
            else:
                yield from _lines((Word(f"git {value}", following[0].kind),))
        elif word.text in {"--exec", "-x", "foreach"}:
            yield from _lines(words[number + 1 :] if word.text == "foreach" else following)
        elif word.text.startswith("--exec="):
            yield word.text.partition("=")[2]


def _wrapped(command: Command, wrapper: Wrapper) -> Iterator[Command | str]:
    # Of a wrapper that stands alone, there is no word and nothing that follows one.
    for word, following in zip(command.words[1:], [*command.words[2:], None], strict=False):
        if command.name == "env" and word.known and word.text in {"-S", "--split-string"} and following:
            yield from _lines((following,))
        elif command.name == "env" and word.known and word.text.startswith(("-S", "--split-string=")):
            yield word.text.removeprefix("--split-string=").removeprefix("-S")
        elif command.name == "flock" and word.known and word.text in {"-c", "--command"} and following:
            yield from _lines((following,))
    yield from _suffixes(command, 1, wrapper)


def _suffixes(command: Command, start: int, wrapper: Wrapper) -> Iterator[Command]:
    """The commands that may begin after the options and first operands of a wrapper."""
    words = command.words
    more = (HOLE,) if wrapper.more else ()
    seen: set[tuple[int, int]] = set()
    begun: set[int] = set()
    waiting = [(start, wrapper.skip)]
    while waiting:
        at, skip = waiting.pop()
        if at >= len(words) or (at, skip) in seen:
            continue
        seen.add((at, skip))
        word = words[at]
        text = word.text if word.known else ""
        if word.kind in {"hole", "below"} and at not in begun:
            begun.add(at)
            yield _from(command, at, more)
        elif text == "--":
            waiting.append((at + 1, skip))
        elif (text.startswith("-") and len(text) > 1) or text == "-":
            waiting += [(at + step, skip) for step in _steps(text, wrapper)]
        elif re.match(r"[A-Za-z_]\w*(\[[^]]*\])?\+?=", text):
            waiting.append((at + 1, skip))
        elif skip:
            waiting.append((at + 1, skip - 1))
        elif at not in begun:
            begun.add(at)
            yield _from(command, at, more)


def _steps(option: str, wrapper: Wrapper) -> tuple[int, ...]:
    """How many words an option may be."""
    if f" {option} " in wrapper.valued:
        return (2,)
    if f" {option} " in wrapper.flags or "=" in option or f" {option[:2]} " in wrapper.valued:
        return (1,)
    return (1, 2)
