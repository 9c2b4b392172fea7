"""Shells: what they read, what their options change, and what runs a text right here."""

from __future__ import annotations

import re

from tools.commands import control, places
from tools.commands.call import Call, operands, options, scan
from tools.commands.scene import NUMBERS, Scene
from tools.commands.table import Row
from tools.commands.text import ANY, Text, lit, spaced
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
