"""Built-in commands of the shell that change what is known: of variables, folders, names, what comes next."""

from __future__ import annotations

import re

from tools.commands import control, places
from tools.commands.assign import DECLARES
from tools.commands.call import Call, command_of, operands, options, scan
from tools.commands.scene import union
from tools.commands.table import Row
from tools.commands.text import ANY, MANY, Text, joined, lit
from tools.protocol import Effect


def trap(call: Call, row: Row) -> None:
    """`trap CODE SIGNAL`: run later, with what variables hold then."""
    words = [word for word in call.args if word.literal != "--"]
    call.add({Effect.READ}, "sets what is run at a signal")
    if any(word.many for word in words):
        call.everything("sets a trap that is not known")
    if len(words) < 2 or words[0].literal in {"-", "", "-p", "-l"}:
        return
    at_the_end = {word.literal for word in words[1:]} <= {"EXIT", "0"}
    call.reader.traps.append((words[0], call.scene.copy(), at_the_end))


def alias(call: Call, row: Row) -> None:
    """`alias name=CODE`."""
    call.add({Effect.READ}, "sets names")
    for word in call.args:
        name, equals, _ = word.prefix.partition("=")
        if equals and (name in DECLARES or not re.fullmatch(r"[\w.+:@%-]+", name) or name in _KEYWORDS):
            call.everything("gives a word of the shell another meaning")
        elif equals:
            call.reader.aliases[name] = word.cut(len(name) + 1)
            code = joined(word.cut(len(name) + 1), lit(' "$bridle_unknown"'))
            call.reader.code(code, call.scene.copy(), "an alias")
        elif not word.is_literal:
            call.everything("sets a name to what is not known")


_KEYWORDS = frozenset(
    {"if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case", "esac", "in", "function"}
    | {"select", "time", "coproc"}
)


def change_folder(call: Call, row: Row) -> None:
    """`cd`."""
    call.add({Effect.READ}, "changes the folder")
    words = operands(scan(row, call.args))
    if len(words) > 1 or any(word.many for word in words):
        _go(call, None)
    elif not words or words[0].literal == "":
        _go(call, frozenset({places.HOME}) if "HOME" not in call.scene.changed else None)
    elif words[0].literal == "-" or words[0].output is not None or "CDPATH" in call.scene.changed:
        _go(call, None)
    else:
        _go(call, places.moved(words[0], call.scene.folders))


def _go(call: Call, folders: places.Folders) -> None:
    call.scene.go(folders)
    call.reader.visited = union(call.reader.visited, folders)
    call.reader.moves += 1


def push_folder(call: Call, row: Row) -> None:
    """`pushd` and `popd`."""
    call.add({Effect.READ}, "changes the folder")
    words = call.args
    if call.name == "pushd" and len(words) == 1 and re.fullmatch(r"[^+-].*", words[0].literal or ""):
        _go(call, places.moved(words[0], call.scene.folders) if "CDPATH" not in call.scene.changed else None)
    elif call.name != "dirs":
        _go(call, None)


def leave(call: Call, row: Row) -> None:
    """`break`, `continue`, `return`: what follows in the body may not happen."""
    call.add({Effect.READ}, "leaves a loop or a function")
    call.reader.leave(call.scene)


def shift(call: Call, row: Row) -> None:
    """`shift`: positional parameters move up."""
    call.add({Effect.READ}, "moves the arguments")
    count = int(call.args[0].literal or "x") if call.args and (call.args[0].literal or "").isdecimal() else 1
    words = call.scene.words("@")
    known = not any(word.many for word in words) and (not call.args or (call.args[0].literal or "").isdecimal())
    if known and count <= len(words):
        control.set_positional(call.scene, list(words[count:]))
    elif not known:
        control.set_positional(call.scene, None)


def wait(call: Call, row: Row) -> None:
    """`wait -p NAME` sets a variable."""
    call.add({Effect.READ}, "waits for jobs")
    for item in scan(row, call.args):
        if item.kind == "unsure" or item.name == "-p":
            _set(call, item.value or ANY, ANY)


def jobs(call: Call, row: Row) -> None:
    """`jobs -x` runs a command."""
    call.add({Effect.READ}, "lists jobs")
    items = scan(row, call.args)
    if any(item.kind == "unsure" for item in items):
        call.everything("may run a command that is not known")
    if "-x" in options(items):
        command_of(call, operands(items))


def history(call: Call, row: Row) -> None:
    """`history`: -a and -w write the file that follows, or the one in the home."""
    from tools.commands.judge import by_options

    items = scan(row, call.args)
    call.add({Effect.READ}, "lists what was typed")
    by_options(call, row, items)
    if {"-a", "-w"} & options(items) or any(item.kind == "unsure" for item in items):
        for word in operands(items) or [ANY]:
            call.write(word)


def limit(call: Call, row: Row) -> None:
    """`ulimit`: where nothing more can be started or opened, commands print nothing."""
    call.add({Effect.READ}, "limits resources")
    for word in call.args:
        known = word.literal or ""
        enough = re.fullmatch(r"-[A-Za-z]+|unlimited|hard|soft|[1-9]\d{3,}", known) is not None
        if not (enough or {"-c", "-t"} & {each.literal for each in call.args}):
            call.everything("limits what can be started or opened")


def declare(call: Call, row: Row) -> None:
    """`builtin export x=y` and the like, which the tree does not show as what it is."""
    call.add({Effect.RUN}, "declares what cannot be told")
    call.scene.wild = call.scene.odd = True
    call.scene.changed |= {"HOME", "CDPATH", "TMPDIR"}
    if any("[" in word.shown() or not word.is_literal for word in call.args):
        call.everything("declares a name in which a command can hide")


def formatted(call: Call, row: Row) -> None:
    """`printf -v NAME` sets a variable."""
    from tools.commands.judge import by_options

    items = scan(row, call.args)
    call.add({Effect.READ}, "prints")
    by_options(call, row, items)
    for item in items:
        if item.name == "-v":
            _set(call, item.value or ANY, ANY)


def _set(call: Call, word: Text, value: Text) -> None:
    """Note that the variable of that name is set."""
    name = word.literal
    if name is not None and re.fullmatch(r"[A-Za-z_]\w*", name):
        call.reader.assign(name, value, call.shown, call.scene)
        return
    call.scene.wild = True
    call.add({Effect.RUN}, "sets a variable whose name is not known")
    if name is None or re.search(r"\[.*[^\w\]@*]", name):
        call.everything("sets a name in which a command can hide")


def names(call: Call, row: Row) -> None:
    """`read`, `mapfile`, `getopts`: variables get what is not known, or one of the names that came in."""
    from tools.commands.judge import by_options

    call.add({Effect.READ}, "sets variables")
    items = scan(row, call.args)
    by_options(call, row, items)
    zero = any(item.name == "-d" and item.value is not None and item.value.literal == "" for item in items)
    words = operands(items)
    arrays = [item.value for item in items if item.name == "-a" and item.value is not None]
    incoming = call.scene.stdin.items if call.scene.stdin is not None and zero else ()
    for word in (words[1:] if call.name == "getopts" else words) + arrays:
        single = call.name == "read" and len(words) == 1 and len(incoming) == 1
        _set(call, word, incoming[0] if single else ANY)
        if call.name in {"mapfile", "readarray"} or arrays:
            call.scene.set(word.literal or "", (MANY,))
    for name in ("REPLY", "MAPFILE", "OPTARG"):
        call.scene.set(name, (MANY,))


def let(call: Call, row: Row) -> None:
    """`let`: arithmetic in words."""
    call.add({Effect.READ}, "reckons")
    for word in call.args:
        control.hides(word, call.shown, call.reader, call.scene)
        names = re.findall(r"[A-Za-z_]\w*", word.literal or "")
        for name in names:
            call.reader.assign(name, ANY, call.shown, call.scene)
        call.scene.wild |= not word.is_literal


def test(call: Call, row: Row) -> None:
    """`test` as a plain command."""
    call.add({Effect.READ}, "tests")
    if call.name == "[" and (not call.args or call.args[-1].literal != "]"):
        call.add({Effect.RUN}, "has no ]")
    control.check_test(call.args, call.shown, call.reader, call.scene)


def describe(call: Call, row: Row) -> None:
    """`command`: with -v it describes, else it runs its operands."""
    items = scan(row, call.args)
    call.add({Effect.READ}, "looks a command up")
    if any(item.kind == "option" and item.name not in {"-p", "-v", "-V"} for item in items):
        call.add({Effect.RUN}, "has an option that is not in the table")
    words = operands(items)
    if words and not {"-v", "-V"} & options(items):
        command_of(call, words)
