"""Commands that run another command: the words of it are judged as if they stood alone."""

from __future__ import annotations

import re

from tools.commands.assign import exported
from tools.commands.call import Call, command_of, operands, options, scan
from tools.commands.places import is_most
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
    """`env`: options, assignments, a command."""
    from tools.commands.judge import by_options

    call.add({Effect.READ}, "runs what follows")
    items = scan(row, call.args)
    by_options(call, row, items)
    words = operands(items)
    while words and re.match(r"\w+=", words[0].prefix):
        word = words.pop(0)
        name = word.prefix.partition("=")[0]
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
    items = scan(row, call.args)
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
    """The words before `:::` are a line, to which arguments are added."""
    call.add(row.effects, row.reason, general=True)
    words = [word for word in call.args if not word.prefix.startswith("-")]
    cut = next((at for at, word in enumerate(words) if word.prefix.startswith(":::")), len(words))
    code = spaced(words[:cut]).literal
    if not code:
        call.everything("runs the lines of its input as commands")
        return
    inside = call.scene.child()
    filled = re.sub(r"\{[^{}\s]*\}", '"$bridle_unknown"', code)
    call.reader.code(lit(filled if filled != code else f'{code} "$bridle_unknown"'), inside, "parallel")


def xargs(call: Call, row: Row) -> None:
    """A command, with words of the input added or put in."""
    from tools.commands.judge import by_options

    items = scan(row, call.args)
    by_options(call, row, items)
    words, flags = operands(items) or [lit("echo")], options(items)
    call.add({Effect.READ}, "runs what follows with words of its input")
    stdin = call.scene.stdin
    incoming = stdin.items if stdin is not None and {"-0", "--null"} & flags else ()
    kept, call.scene.stdin = call.scene.stdin, lit("")
    mark = next((item.value for item in items if item.name in {"-I", "-i", "--replace"}), None)
    replaces = {"-I", "-i", "--replace"} & flags
    for value in incoming or (ANY if replaces else MANY,):
        if replaces:
            sign = (mark.literal if mark is not None else "{}") or "{}"
            command_of(call, [filled(word, sign, value) for word in words])
        else:
            command_of(call, [*words, value])
    call.scene.stdin = kept


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


# find


def find_starts(args: list[Text]) -> list[Text]:
    """Where a `find` begins to look."""
    starts: list[Text] = []
    for word in args:
        if word.literal in {"-H", "-L", "-P"}:
            continue
        if word.prefix.startswith(("-", "(", "!")) or word.literal == ",":
            break
        starts.append(word)
    return starts or [lit(".")]


def found_at(start: Text, args: list[Text]) -> Text:
    """What `find` puts for `{}`: a path below where it began, ending as the one name that is looked for."""
    words = [word.literal for word in args]
    below = joined(start, lit("/"), Text((Part("below"),)))
    if {"-o", "-or", "!", "-not", ",", None} & set(words) or words.count("-name") != 1 or words[-1] == "-name":
        return below
    name = words[words.index("-name") + 1] or ""
    # Nothing in git's own folder that means something to git has such a name.
    if match := re.fullmatch(r"\*([\w-]*\.\w+)", name):
        return joined(below, Text((Part("stem"),)), lit(match[1]))
    return joined(below, lit(name)) if re.fullmatch(r"__\w+__|[a-z_]+[.][a-z]+", name) else below


def find(call: Call, row: Row) -> None:
    """`find`: what its actions do to what it finds."""
    from tools.commands.judge import by_options

    args = list(call.args)
    call.add({Effect.READ}, "lists files")
    starts = find_starts(args)
    call.scene.narrow = _is_narrowed(args)
    if any(word.may_be_option() and not word.prefix for word in args):
        call.add(
            {Effect.DESTROY, Effect.RUN, Effect.WRITE, Effect.OUTSIDE}, "a word that is not known may be an action"
        )
    plain: list[Text] = []
    while args:
        word = args.pop(0)
        if word.literal in _RUNS:
            command: list[Text] = []
            while args and args[0].literal not in {";", "+"}:
                command.append(args.pop(0))
            args = args[1:]
            _for_each(call, word.literal or "", command, starts)
        elif word.literal == "-delete":
            for start in starts:
                call.delete(found_at(start, call.args))
        elif word.literal == "-fprintf":
            call.write(args.pop(0) if args else ANY)
            args = args[1:]
        elif word.literal not in {"(", ")", "!", ","}:
            plain.append(word)
    call.scene.narrow = False
    by_options(call, row, scan(row, plain))
    for start in starts:
        call.read(start)


_NARROWS = {"-name": 0, "-iname": 0, "-path": 0, "-ipath": 0, "-wholename": 0, "-regex": 1, "-iregex": 1}
"""Tests of names, by patterns or (1) expressions."""


def _is_narrowed(args: list[Text]) -> bool:
    """Does `find` look for certain names, or for what is empty, only?"""
    words = [word.literal for word in args]
    if {"-o", "-or", "!", "-not", ","} & set(words):
        return False
    tests = [(each, words[at + 1 : at + 2]) for at, each in enumerate(words) if each in _NARROWS]
    return "-empty" in words or any(
        value and value[0] is not None and _is_certain(value[0], expression=bool(_NARROWS[test or ""]))
        for test, value in tests
    )


def _is_certain(pattern: str, *, expression: bool) -> bool:
    """Is a pattern, or an expression, for names about certain ones only?"""
    if expression:
        bare = re.sub(r"\\.|\[[^\]]*\]|\{[^}]*\}|[.*+?^$|()/]", "", pattern)
        return bool(bare) and "|" not in pattern
    return not is_most(pattern.rpartition("/")[2]) or bool(pattern.strip("*?./") and "/" in pattern)


def _for_each(call: Call, action: str, command: list[Text], starts: list[Text]) -> None:
    if not command:
        call.add({Effect.RUN}, f"{action} without a command")
    for start in starts if command else ():
        inside = Call(call.reader, call.scene.copy(), call.words, call.shown)
        if action.endswith("dir"):
            from tools.commands.places import moved

            inside.scene.folders = moved(joined(start, lit("/"), Text((Part("below"),))), call.scene.folders)
            place = joined(lit("./"), Text((Part("below"),)))
        else:
            place = found_at(start, call.args)
        command_of(inside, [filled(word, "{}", place) for word in command])


def fd(call: Call, row: Row) -> None:
    """`fd`: -x and -X are followed by a command."""
    from tools.commands.judge import by_operands, by_options

    words = [word.literal for word in call.args]
    at = next((at for at, word in enumerate(words) if word in {"-x", "-X", "--exec", "--exec-batch"}), None)
    items = scan(row, call.args[:at] if at is not None else call.args)
    call.add({Effect.READ}, "lists files")
    by_options(call, row, items)
    by_operands(call, row, items)
    if at is not None:
        flags, sought = options(items), (operands(items) or [ANY])[0].literal or ""
        globs = bool({"-g", "--glob"} & flags)
        call.scene.narrow = bool({"-e", "--extension"} & flags) or _is_certain(sought, expression=not globs)
        command = [word for word in call.args[at + 1 :] if word.literal != ";"]
        place = Text((Part("below"),))
        filled_in = [filled(word, sign, place) for word in command for sign in ["{}"]]
        command_of(call, filled_in if filled_in != command else [*command, place])
        call.scene.narrow = False
