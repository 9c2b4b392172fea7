"""Shells, and the built-in commands that change what is known or run a text."""

from __future__ import annotations

import re

from tools.commands import control, places
from tools.commands.call import Call, command_of, operands, options, scan
from tools.commands.scene import DANGEROUS, Scene
from tools.commands.table import Row
from tools.commands.text import ANY, MANY, Text, lit, spaced
from tools.protocol import Effect

_LIKE_SH = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "yash", "rbash"})


def shell(call: Call, row: Row) -> None:
    """`sh -c CODE`, `sh FILE`, or a shell that reads its input."""
    from tools.commands.judge import by_options

    args = _without_plus(call.args)
    items = scan(row, args or [])
    by_options(call, row, items)
    words, flags = operands(items), options(items)
    call.add(row.effects, "a shell")
    for item in items:
        if item.name in {"--rcfile", "--init-file"} and (item.value or ANY).output is not None:
            call.reader.code((item.value or ANY).output or ANY, call.scene.child(), call.name)
    if call.name not in _LIKE_SH:
        call.add({Effect.RUN}, f"{call.name} is a shell of another kind")
    if args is None or any(item.kind == "unsure" for item in items):
        call.everything("which commands the shell runs cannot be told")
    elif "-c" in flags and words:
        inside = call.scene.child()
        control.set_positional(inside, words[2:])
        inside.set("0", words[1] if len(words) > 1 else ANY)
        call.reader.code(words[0], inside, call.name)
    elif words and "-s" not in flags and words[0].literal != "-" and not is_input(words[0], call.scene):
        file(call, words)
    elif {"--version", "--help"} & flags:
        call.add({Effect.READ}, "tells about itself")
    else:
        inside = call.scene.child()
        control.set_positional(inside, words if "-s" in flags else words[1:])
        fed(call, inside, call.name)


def _without_plus(args: list[Text]) -> list[Text] | None:
    """The words without the options that a plus begins; None where a name for -o does not stand behind it."""
    kept: list[Text] = []
    rest = list(args)
    while rest:
        known = rest[0].literal or ""
        if not re.match(r"[-+].|\+$", known) or known == "--":
            break
        kept += [] if known.startswith("+") else rest[:1]
        rest = rest[1:]
        named = 0 if known.startswith("--") else len(re.findall("[oO]", known))
        if named > 1 or (named and known[-1] not in "oO"):
            return None
        if known in {"--rcfile", "--init-file"} or named:
            kept += [] if known.startswith("+") else rest[:1]
            rest = rest[1:]
    return kept + rest


def is_input(word: Text, scene: Scene) -> bool:
    """Is it one of the names of standard input?"""
    found = places.moved(word, scene.folders)
    return found is not None and bool(found & {"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})


def text_of(word: Text, scene: Scene) -> Text | None:
    """What a program that opens the file of that name reads, if it stands in the line."""
    if word.output is not None:
        return word.output
    return scene.stdin if word.literal == "-" or is_input(word, scene) else None


def fed(call: Call, inside: Scene, what: str) -> None:
    """Commands that come through standard input."""
    if call.scene.stdin is None or call.scene.stdin.literal == "":
        call.add({Effect.RUN}, f"{what} runs what it is fed")
    else:
        code, inside.stdin = call.scene.stdin, lit("")
        call.reader.code(code, inside, what)


def file(call: Call, words: list[Text]) -> None:
    """Commands that stand in a file, or come through `<(…)`."""
    from tools.commands.judge import argument

    if words[0].output is not None:
        call.reader.code(words[0].output, call.scene.child(), call.name)
        return
    found = places.moved(words[0], call.scene.folders) or ()
    if any(place.startswith(("/dev/", "/proc/")) for place in found):
        call.everything("runs commands that cannot be told from here")
    if words[0].wild and call.scene.stdin is not None and call.scene.stdin.literal:
        fed(call, call.scene.child(), call.name)  # it may be a name of standard input
    call.add({Effect.RUN}, f"runs the script {words[0].shown()[:60]}")
    if not places.is_inside(call.scene.folders):
        call.add({Effect.OUTSIDE}, "runs outside the workspace")
    for word in words[1:]:
        argument(call, word)


def evaluate(call: Call, row: Row) -> None:
    """`eval`: its operands, with blanks between them, are a line."""
    args = call.args[1:] if call.args and call.args[0].literal == "--" else call.args
    if args:
        call.reader.code(spaced(args), call.scene, "eval")


def source(call: Call, row: Row) -> None:
    """`.`: a file of commands, run right here."""
    words = [word for word in call.args if word.literal != "--"]
    if not words:
        return
    if is_input(words[0], call.scene):
        fed(call, call.scene, "source")
    else:
        file(call, words)


def trap(call: Call, row: Row) -> None:
    """`trap CODE SIGNAL`: run later, with what variables hold then."""
    words = [word for word in call.args if word.literal != "--"]
    if len(words) >= 2 and words[0].literal not in {"-", "", "-p", "-l"}:
        call.reader.traps.append((words[0], call.scene.copy()))


def alias(call: Call, row: Row) -> None:
    """`alias name=CODE`."""
    call.add({Effect.READ}, "sets names")
    for word in call.args:
        name, equals, _ = word.prefix.partition("=")
        if equals:
            call.reader.aliases[name] = word.cut(len(name) + 1)
            call.reader.code(word.cut(len(name) + 1), call.scene.copy(), "an alias")
        elif not word.is_literal:
            call.everything("sets a name to what is not known")


def change_folder(call: Call, row: Row) -> None:
    """`cd`."""
    call.add({Effect.READ}, "changes the folder")
    words = operands(scan(row, call.args))
    if len(words) > 1 or any(word.many for word in words):
        call.scene.go(None)
    elif not words or words[0].literal == "":
        call.scene.go(frozenset({places.HOME}))
    elif words[0].literal == "-" or words[0].output is not None or "CDPATH" in call.scene.values:
        call.scene.go(None)
    else:
        call.scene.go(places.moved(words[0], call.scene.folders))


def push_folder(call: Call, row: Row) -> None:
    """`pushd` and `popd`."""
    call.add({Effect.READ}, "changes the folder")
    words = operands(scan(row, call.args))
    if call.name == "pushd" and len(words) == 1 and re.fullmatch(r"[^+-].*", words[0].literal or ""):
        call.scene.go(places.moved(words[0], call.scene.folders))
    elif call.name != "dirs":
        call.scene.go(None)


def settings(call: Call, row: Row) -> None:
    """`set` and `shopt`: positional parameters, and how words are read."""
    call.add({Effect.READ}, "changes settings of the shell")
    words = [word.literal for word in call.args]
    if call.name == "shopt" or None in words:
        call.scene.odd |= "dotglob" in words or "extglob" in words or None in words
        if "expand_aliases" in words or None in words:
            call.add({Effect.RUN}, "changes which names are commands")
    if call.name == "set" and words:
        if "--" in words:
            control.set_positional(call.scene, call.args[words.index("--") + 1 :])
        elif None in words or not str(words[0]).startswith(("-", "+")):
            control.set_positional(call.scene, call.args if None not in words else None)


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
        name = word.literal
        if name is None or not re.fullmatch(r"\w+", name):
            call.scene.wild = True
            call.add({Effect.RUN}, "sets a variable whose name is not known")
            continue
        if DANGEROUS.fullmatch(name):
            call.add({Effect.RUN}, f"{name} changes what other commands do")
        call.reader.count_assignment(name)
        single = call.name == "read" and len(words) == 1 and len(incoming) == 1
        call.scene.set(name, incoming[0] if single else ANY if call.name != "mapfile" else (MANY,))
    for name in ("REPLY", "MAPFILE", "OPTARG"):
        call.scene.set(name, (MANY,))


def let(call: Call, row: Row) -> None:
    """`let`: arithmetic in words."""
    call.add({Effect.READ}, "reckons")
    for word in call.args:
        if not re.fullmatch(r"[\w\s+*/%<>=!&|^()-]*", word.literal or "$"):
            control.hides(word, call.shown, call.reader)
            continue
        for name in re.findall(r"[A-Za-z_]\w*", word.literal or ""):
            if name in call.scene.values:
                control.hides(call.scene.text(name), call.shown, call.reader)
            call.reader.count_assignment(name)
            call.scene.set(name, ANY)


def test(call: Call, row: Row) -> None:
    """`test` as a plain command."""
    call.add({Effect.READ}, "tests")
    if call.name == "[" and (not call.args or call.args[-1].literal != "]"):
        call.add({Effect.RUN}, "has no ]")
    control.check_test(call.args, call.shown, call.reader)


def describe(call: Call, row: Row) -> None:
    """`command`: with -v it describes, else it runs its operands."""
    items = scan(row, call.args)
    call.add({Effect.READ}, "looks a command up")
    if any(item.kind == "option" and item.name not in {"-p", "-v", "-V"} for item in items):
        call.add({Effect.RUN}, "has an option that is not in the table")
    words = operands(items)
    if words and not {"-v", "-V"} & options(items):
        command_of(call, words)
