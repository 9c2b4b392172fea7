"""Shells, and the built-in commands that change what is known or run a text."""

from __future__ import annotations

import re

from tools.commands import control, places
from tools.commands.assign import DECLARES
from tools.commands.call import Call, command_of, operands, options, scan
from tools.commands.scene import NUMBERS, Scene, union
from tools.commands.table import Row
from tools.commands.text import ANY, MANY, Text, joined, lit, spaced
from tools.protocol import Effect

_LIKE_SH = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "yash", "rbash"})
_OTHERWISE = frozenset({"zsh", "ksh", "mksh", "yash"})
_LETTERS = frozenset("euxvnhmbClipst")
"""Options of a shell that change nothing about what its commands do: of `set` without -i, -l, -p, -s and -t."""
_NAMES = frozenset(
    {"errexit", "nounset", "xtrace", "verbose", "noexec", "noclobber", "pipefail", "hashall", "monitor", "notify"}
    | {"nolog", "noglob", "errtrace", "emacs", "vi"}
)
_SHOPT = frozenset(
    {"globstar", "dotglob", "extglob", "nullglob", "nocaseglob", "nocasematch", "globasciiranges", "globskipdots"}
    | {"checkwinsize", "cmdhist", "histappend", "histverify", "huponexit", "inherit_errexit", "sourcepath"}
    | {"interactive_comments", "progcomp", "login_shell", "checkjobs", "checkhash", "expand_aliases"}
)


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
    started = _started(call)
    _options_of(call, started, [word.literal for word in call.args[: _first(call.args, words)]])
    if args is None or any(item.kind == "unsure" for item in items):
        call.everything("which commands the shell runs cannot be told")
    elif "-c" in flags and words:
        inside = started
        control.set_positional(inside, words[2:])
        inside.set("0", words[1] if len(words) > 1 else ANY)
        call.reader.code(words[0], inside, call.name)
    elif words and "-s" not in flags and words[0].literal != "-" and not is_input(words[0], call.scene):
        file(call, words)
    elif {"--version", "--help"} & flags:
        call.add({Effect.READ}, "tells about itself")
    else:
        inside = started
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


def _first(args: list[Text], words: list[Text]) -> int:
    """Where the first operand stands."""
    return next((at for at, arg in enumerate(args) if words and arg is words[0]), len(args))


def _started(call: Call) -> Scene:
    """What a shell knows that is started here. Other kinds have rules of their own for variables."""
    inside = call.scene.child()
    inside.wild |= call.name in _OTHERWISE
    if call.name == "bash":
        inside.values = {name: value for name, value in inside.values.items() if name not in NUMBERS}
    return inside


def _options_of(call: Call, scene: Scene, words: list[str | None]) -> int:
    """Note what options of `set` or of a shell change; how many words they are."""
    at = 0
    while at < len(words):
        word, at = words[at], at + 1
        if word in {"--", "-", "+"}:
            return at
        if word is None:
            call.everything("an option that is not known may change how the line is read")
        elif not word.startswith(("-", "+")) and call.name == "set":
            return at - 1
        if word is None or word.startswith("--") or not word.startswith(("-", "+")):
            continue
        for letter in (word or "")[1:]:
            name = words[at] if letter in "oO" and at < len(words) else letter
            at += letter in "oO"
            _option(call, scene, name, letter)
    return at


def _option(call: Call, scene: Scene, name: str | None, letter: str) -> None:
    if letter == "a" or name == "allexport":
        call.reader.exports_all = True
        call.add({Effect.RUN}, "variables may change what commands do")
    elif letter == "O":
        _shopt(call, scene, name)
    elif not (name in _NAMES if letter == "o" else letter in _LETTERS | {"f", "c", "E", "T"}):
        call.everything(f"the option {name or letter} changes how the line is read")


def _shopt(call: Call, scene: Scene, name: str | None) -> None:
    scene.odd |= name in {"dotglob", "extglob", "nocaseglob"}
    scene.vanishing |= name == "nullglob"
    if name not in _SHOPT:
        call.everything(f"the option {(name or '')[:40]} changes how the line is read")
    if name == "expand_aliases":
        call.add({Effect.RUN}, "changes which names are commands")


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
        sourced = call.name in {".", "source"}
        inside = call.scene if sourced else _started(call)
        if len(words) > 1 or not sourced:
            control.set_positional(inside, words[1:])
        output = words[0].output
        call.reader.framed(lambda scene: call.reader.code(output, scene, call.name), inside)
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


def settings(call: Call, row: Row) -> None:
    """`set` and `shopt`: positional parameters, and how words are read."""
    call.add({Effect.READ}, "changes settings of the shell")
    if call.name == "shopt":
        _set_by_shopt(call)
        return
    words = [word.literal if word.is_literal or word.may_be_option() else "" for word in call.args]
    count = _options_of(call, call.scene, words)
    if count < len(words) or (words and words[-1] == "--"):
        control.set_positional(call.scene, call.args[count:])


def _set_by_shopt(call: Call) -> None:
    flags = [word for word in call.args if word.may_be_option() or word.many]
    if any(word.literal is None for word in call.args):
        call.everything("an option that is not known may change how the line is read")
    for word in call.args:
        if word in flags or {"-p", "-q"} & {flag.literal for flag in flags}:
            continue
        if any("o" in (flag.literal or "") for flag in flags):
            _option(call, call.scene, word.literal, "o")
        else:
            _shopt(call, call.scene, word.literal)


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
