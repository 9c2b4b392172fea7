"""Commands that run another command: the words of it are judged as if they stood alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

from tools.commands.assign import exported
from tools.commands.call import READ_ONLY, Call, Item, command_of, is_clear, operands, options, scan
from tools.commands.places import is_most, moved
from tools.commands.scene import union
from tools.commands.table import Row
from tools.commands.text import ANY, MANY, Part, Text, joined, lit, spaced
from tools.protocol import Effect

_RUNS = frozenset({"-exec", "-execdir", "-ok", "-okdir"})


def wrap(call: Call, row: Row) -> None:
    """Options, then a command, if there is one."""
    from tools.commands.judge import by_options

    items = scan(row, call.args)
    call.add({Effect.READ}, "runs what follows")
    by_options(call, row, items)
    words = operands(items)
    if words:
        command_of(call, words)


def environment(call: Call, row: Row) -> None:
    """`env`: options, assignments, a command. What -S holds is split, and read like the words behind it."""
    from tools.commands.judge import by_options

    call.add({Effect.READ}, "runs what follows")
    items = scan(row, call.args)
    by_options(call, row, items)
    words = operands(items)
    split = [item.value or ANY for item in items if item.name in {"-S", "--split-string"}]
    if split:
        known = split[-1].literal
        if len(split) > 1 or known is None or re.search(r"[\\$#'\"]", known):
            call.everything("which command it runs cannot be told")
            return
        words = [lit(word) for word in known.split()] + words
        if words and words[0].may_be_option():
            environment(Call(call.reader, call.scene, [call.words[0], *words], call.shown), row)
            return
    while words and "=" in words[0].prefix:
        word = words.pop(0)
        name = word.prefix.partition("=")[0]
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            call.everything(f"{name[:40]} may be a function for a shell")
        exported(name, word.cut(len(name) + 1), call.shown, call.scene, call.reader)
    if any(item.name in {"-C", "--chdir"} for item in items):
        call.scene.go(None)
    if words and words[0].many:
        call.everything("which command it runs cannot be told")
    elif words:
        command_of(call, words)


def as_other_user(call: Call, row: Row) -> None:
    """`sudo` and the like."""
    from tools.commands.judge import by_options

    call.add(row.effects, row.reason, general=True)
    items = scan(row, call.args)
    by_options(call, row, items)
    words = operands(items)
    while words and re.match(r"\w+=", words[0].prefix):
        words.pop(0)
    if call.name in {"su", "runuser", "gosu", "su-exec"}:
        words = words[1:]
    if words:
        command_of(call, words)
    elif {"-i", "-s"} & options(items) and call.scene.stdin is not None:
        call.reader.code(call.scene.stdin, call.scene.child(), call.name)


def rest(call: Call, row: Row) -> None:
    """A command somewhere among the words."""
    from tools.commands.judge import argument, embedded

    call.add(row.effects, row.reason or f"{call.name} runs", general=True)
    for word in call.args:
        argument(call, word)
    embedded(call)


def watch(call: Call, row: Row) -> None:
    """The words with blanks between them are a line; with -x they are a command."""
    from tools.commands.judge import by_options

    items = scan(row, call.args)
    by_options(call, row, items)
    words = operands(items)
    call.add({Effect.READ}, "runs what follows, again and again")
    if {"-x", "--exec"} & options(items):
        command_of(call, words or [ANY])
    elif words:
        call.reader.code(spaced(words), call.scene.child(), "watch")


def line(call: Call, row: Row) -> None:
    """The operands, with blanks between them, are a line."""
    call.add(row.effects, row.reason, general=True)
    words = operands(scan(row, call.args))
    if words:
        call.reader.code(spaced(words), call.scene.child(), call.name)


def parallel(call: Call, row: Row) -> None:
    """The words before `:::` are a line, to which arguments are added; without any, the input is lines to run."""
    from tools.commands.judge import by_options

    call.add(row.effects, row.reason, general=True)
    cut = next((at for at, word in enumerate(call.args) if word.prefix.startswith(":::")), len(call.args))
    items = scan(row, call.args[:cut])
    by_options(call, row, items)
    code = spaced(operands(items)).literal
    if not code or not is_clear(row, items):
        call.everything("which commands it runs, and where, cannot be told")
        return
    inside = call.scene.child()
    filled = re.sub(r"\{[^{}\s]*\}", '"$bridle_unknown"', code)
    call.reader.code(lit(filled if filled != code else f'{code} "$bridle_unknown"'), inside, "parallel")


def xargs(call: Call, row: Row) -> None:
    """A command, with words of the input added or put in."""
    from tools.commands.judge import by_options, effects_alone

    items = scan(row, call.args)
    by_options(call, row, items)
    words, flags = operands(items) or [lit("echo")], options(items)
    call.add({Effect.READ}, "runs what follows with words of its input")
    incoming = _names_in(call, row, items)
    kept, call.scene.stdin = call.scene.stdin, lit("")
    replaces = [item for item in items if item.name in {"-I", "-i", "-J", "--replace"}]
    mark = replaces[-1].value if replaces else None
    sign = (mark.literal if mark is not None else "{}") or "{}"
    if mark is not None and mark.literal is None:
        call.everything("what its input is put in for is not known")

    def given(value: Text) -> list[Text]:
        return [filled(word, sign, value) for word in words] if replaces else [*words, value]

    unknown = given(ANY if replaces else MANY)
    # A name without a folder in front may begin with a dash.
    bare = any(value.parts and value.parts[0].kind == "below" for value in incoming)
    for value in incoming:
        command_of(call, given(joined(lit("./"), value) if bare else value))
    if not incoming:
        command_of(call, unknown)
    elif bare or not {"-0", "--null"} & flags:
        more = effects_alone(call, unknown) - call.reader.findings.effects - READ_ONLY
        call.add({Effect.RUN} if more else (), "a name could be an option, or several words to it")
    call.scene.stdin = kept


def _names_in(call: Call, row: Row, items: list[Item]) -> tuple[Text, ...]:
    """The names that come in, if they are known and divided as xargs looks for it."""
    stdin = call.scene.stdin
    flags = options(items)
    if stdin is None or not is_clear(row, items) or {"-d", "--delimiter", "-a", "--arg-file"} & flags:
        return ()
    return stdin.items if {"-0", "--null"} & flags else stdin.lines


def filled(word: Text, sign: str, value: Text) -> Text:
    """The word with `value` wherever `sign` stands in it."""
    pieces: list[Text] = []
    for part in word.parts:
        if part.kind != "lit" or sign not in part.text:
            pieces.append(Text((part,)))
            continue
        first, *others = part.text.split(sign)
        pieces.append(lit(first))
        for other in others:
            pieces += [value, lit(other)]
    made = joined(*pieces)
    return Text(made.parts, word.many or made.many, word.output)


# find and fd


class Test(NamedTuple):
    """A word of what `find` looks for or does, and the words that belong to it."""

    name: str
    words: list[Text]


def find_starts(row: Row, args: list[Text]) -> tuple[list[Text], list[Text]]:
    """Where a `find` begins to look, and its words behind that."""
    rest = list(args)
    starts: list[Text] = []
    while rest and re.fullmatch(r"-[HLPEXxs]+|-O\d*|-D|-f", rest[0].literal or ""):
        word = rest.pop(0).literal
        if word in {"-D", "-f"} and rest:
            value = rest.pop(0)
            starts += [value] if word == "-f" else []
    while rest and not (rest[0].prefix.startswith(("-", "(", "!")) or rest[0].literal in {",", ")"}):
        starts.append(rest.pop(0))
    given = any(word.prefix.startswith("-files0") for word in rest)
    return [ANY] if given else starts or [lit(".")], rest


def find_tests(row: Row, words: list[Text]) -> Iterator[Test]:
    """Each test and action, with its words; one that is not known has no name."""
    rest = list(words)
    while rest:
        name = rest.pop(0).literal
        if name in _RUNS:
            command: list[Text] = []
            while rest and rest[0].literal != ";" and not (rest[0].literal == "+" and command[-1:] == [lit("{}")]):
                command.append(rest.pop(0))
            rest = rest[1:]
            if any(word.many for word in command):  # one of its words may be the end of it
                yield Test("", [])
            yield Test(name or "", command)
        elif name is None:
            yield Test("", [])
        else:
            takes = 2 if name == "-fprintf" else 1 if row.takes(name) or _NEWER.fullmatch(name) else 0
            values = rest[:takes]
            if any(word.many for word in values):  # it may be no word, or some
                yield Test("", [])
            rest = rest[takes:]
            yield Test(name, values)


_CHOOSES = frozenset(["-o", "-or", "!", "-not", ",", ""])
"""With one of these, what is found may be what a test does not say."""
_NEWER = re.compile(r"-newer[aBcm][aBcmt]")


def found_at(start: Text, tests: list[Test]) -> Text:
    """What `find` puts for `{}`: a path below where it began, ending as the one name that is looked for."""
    names = [test.words for test in tests if test.name == "-name"]
    below = joined(start, lit("/"), Text((Part("below"),)))
    if _CHOOSES & {test.name for test in tests} or len(names) != 1 or not names[0]:
        return below
    name = names[0][0].literal or ""
    # Nothing in git's own folder that means something to git has such a name.
    if match := re.fullmatch(r"\*([\w-]*\.\w+)", name):
        return joined(below, Text((Part("stem"),)), lit(match[1]))
    return joined(below, lit(name)) if re.fullmatch(r"__\w+__|[a-z_]+[.][a-z]+", name) else below


def find(call: Call, row: Row) -> None:
    """`find`: what its actions do to what it finds."""
    call.add({Effect.READ}, "lists files")
    starts, rest = find_starts(row, call.args)
    tests = list(find_tests(row, rest))
    if any(start.may_be_option() for start in starts if start is not ANY) or any(not test.name for test in tests):
        call.add(
            {Effect.DESTROY, Effect.RUN, Effect.WRITE, Effect.OUTSIDE}, "a word that is not known may be an action"
        )
    for at, test in enumerate(tests):
        before = [each for each in tests[:at] if each.name not in _RUNS]
        call.scene.narrow = _is_narrowed(before)
        if test.name in _RUNS:
            _for_each(call, test, before, starts)
        elif test.name == "-delete":
            for start in starts:
                call.delete(found_at(start, before))
        elif row.options.get(test.name) == "write" or test.name == "-fprintf":
            call.write(test.words[0] if test.words else ANY)
        elif test.name not in row.options and not _NEWER.fullmatch(test.name) and test.name not in "()!,":
            call.add({Effect.RUN}, f"{test.name[:40]} is not in the table")
    call.scene.narrow = False
    for start in starts:
        call.read(start)


_NAMES = frozenset(["-name", "-iname"])
_PATHS = frozenset(["-path", "-ipath", "-wholename", "-iwholename"])
_EXPRESSIONS = frozenset(["-regex", "-iregex"])
_ABOVE = ("/workspace", "/home/agent", "/root")
"""What whole paths may begin with, so that naming it says nothing about what is found."""


def _is_narrowed(tests: list[Test]) -> bool:
    """Does `find` look for certain names, or for what is empty, only? Each of several choices has to."""
    if (_CHOOSES - {"-o", "-or"}) & {test.name for test in tests}:
        return False
    choices: list[list[Test]] = [[]]
    for test in tests:
        choices.append([]) if test.name in {"-o", "-or"} else choices[-1].append(test)
    return all(any(map(_narrows, choice)) for choice in choices)


def _narrows(test: Test) -> bool:
    pattern = test.words[0].literal if test.words else None
    if test.name == "-empty" or pattern is None:
        return test.name == "-empty"
    if test.name in _NAMES:
        return not is_most(pattern)
    if test.name in _PATHS:
        return _is_certain_path(pattern)
    return test.name in _EXPRESSIONS and _is_certain_expression(pattern)


def _is_certain_path(pattern: str) -> bool:
    """Here `*` and the like match slashes too."""
    names = [name for name in pattern.split("/") if name.strip("*.")]
    above = "/".join(_ABOVE).split("/")
    return not re.search(r"[\[?\\]", pattern) and any(
        not is_most(name) and not any(fnmatchcase(each, name) for each in above if each) for name in names
    )


def _is_certain_expression(pattern: str) -> bool:
    """Does an expression for names or paths need letters that not every path has?"""
    needed = re.sub(r"\[[^\]]*\]|\\.", ".", pattern)
    needed = re.sub(r".(?:[*?]|\{)|[.^$+/{},\d]", "", needed)
    return bool(needed) and not re.search(r"[(|]", pattern) and not any(needed in above for above in _ABOVE)


def _for_each(call: Call, test: Test, before: list[Test], starts: list[Text]) -> None:
    if not test.words:
        call.add({Effect.RUN}, f"{test.name} without a command")
    for start in starts if test.words else ():
        inside = Call(call.reader, call.scene.copy(), call.words, call.shown)
        if test.name.endswith("dir"):
            inside.scene.folders = moved(joined(start, lit("/"), Text((Part("below"),))), call.scene.folders)
            for place in (start, joined(start, lit("/.."))) if start.literal not in {".", "./"} else (start,):
                inside.scene.folders = union(inside.scene.folders, moved(place, call.scene.folders))
            inside.scene.sure = inside.scene.folders
            place = joined(lit("./"), Text((Part("below"),)))
        else:
            place = found_at(start, before)
        command_of(inside, [filled(word, "{}", place) for word in test.words])


def fd_starts(items: list[Item]) -> list[Text]:
    """Where `fd` looks: the operands behind the pattern, or what options name."""
    searched = [item.value or ANY for item in items if item.name == "--search-path"]
    based = [item.value or ANY for item in items if item.name in {"-C", "--base-directory"}]
    starts = [*searched, *operands(items)[1:]]
    if based:
        return [ANY] if starts or len(based) > 1 else based
    return starts or [lit(".")]


def fd(call: Call, row: Row) -> None:
    """`fd`: -x and -X are followed by a command."""
    from tools.commands.judge import by_operands, by_options

    args, commands = fd_commands(row, call.args)
    items = scan(row, args)
    call.add({Effect.READ}, "lists files")
    by_options(call, row, items)
    by_operands(call, row, items)
    starts = fd_starts(items) if is_clear(row, items) else [ANY]
    sought = (operands(items) or [ANY])[0].literal or ""
    globs = bool({"-g", "--glob"} & options(items))
    named = not is_most(sought) if globs else _is_certain_expression(sought)
    call.scene.narrow = named or bool({"-e", "--extension"} & options(items))
    for command in commands:
        call.add({Effect.RUN} if not command else (), "runs a command for each file")
        for start in starts if command else ():
            place = joined(start, lit("/"), Text((Part("below"),)))
            words = [_fd_filled(word, place) for word in command]
            command_of(call, words if words != command else [*command, place])
    call.scene.narrow = False


def _fd_filled(word: Text, place: Text) -> Text:
    stem = Text((Part("stem"),))
    for sign, value in {"{}": place, "{.}": place, "{//}": place, "{/}": stem, "{/.}": stem}.items():
        word = filled(word, sign, value)
    return word


def fd_commands(row: Row, args: list[Text]) -> tuple[list[Text], list[list[Text]]]:
    """The words of a `fd` without the commands in them, and those."""
    plain: list[Text] = []
    commands: list[list[Text]] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        begins = _fd_command(row, word)
        if word.literal == "--":
            return [*plain, word, *rest], commands
        if begins is None:
            plain.append(word)
            name = word.literal or ""
            if row.takes(name) or (re.fullmatch(r"-[A-Za-z]+", name) and row.takes(f"-{name[-1]}")):
                plain += rest[:1]
                rest = rest[1:]
            continue
        end = next((at for at, each in enumerate(rest) if each.literal == ";"), len(rest))
        commands.append([*begins, *rest[:end]])
        rest = rest[end + 1 :]
    return plain, commands


def _fd_command(row: Row, word: Text) -> list[Text] | None:
    """The first word of a command that is attached to the option, or none; None if it is no such option."""
    if match := re.match(r"--exec(?:-batch)?(=|$)", word.prefix):
        return [word.cut(match.end())] if match[1] else [] if word.is_literal else [ANY]
    letters = re.match(r"-([A-Za-z0-9]*?)[xX]=?", word.prefix)
    if letters is None or any(row.takes(f"-{letter}") for letter in letters[1]):
        return None
    rest = word.cut(letters.end())
    return [rest] if rest.parts else []
