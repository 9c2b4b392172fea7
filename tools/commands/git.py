"""git: what each sub-command does to the sandbox's copy, its history, and to other repositories.

Threat model: a repository's configuration can name programs (fsmonitor, external diffs, filters, aliases). That of
`/workspace/.git` was made by Bridle, and changing it claims `run`: whoever may do that gains nothing by a later
`git status`, which therefore reads. Any other folder could itself be a repository, with a configuration that came
with the files or was written as a plain file, so git anywhere else runs.
"""

from __future__ import annotations

import re

from sandboxes.protocol import WORKSPACE
from tools.commands import places
from tools.commands.call import Call, Item, command_of, operands, options, scan, surely
from tools.commands.table import Row
from tools.commands.text import ANY, Text, lit
from tools.protocol import Effect

_HARMLESS = re.compile(
    r"user\.(name|email)|core\.(quotepath|abbrev|autocrlf|eol|filemode|ignorecase|safecrlf|commentchar|longpaths)"
    r"|color\.[\w.]+|advice\.[\w.]+|init\.defaultbranch|safe\.directory|pull\.(rebase|ff)|push\.default|diff\.(renames|color\w*"
    r"|algorithm|context|noprefix|mnemonicprefix|renamelimit)|merge\.(conflictstyle|ff|renamelimit)|log\.(date|decorate|abbrevcommit)"
    r"|fetch\.prune|rebase\.(autosquash|autostash)|gc\.auto|status\.\w+|column\.\w+|blame\.\w+|grep\.\w+|http\.\w*timeout"
    r"|commit\.(gpgsign|verbose)|tag\.gpgsign|rerere\.enabled",
    re.IGNORECASE,
)
_OFF = re.compile(
    r"(commit|tag|log)\.(gpgsign|showsignature)=(false|no|0)|core\.(pager|editor)=(cat|true|:|less -FRX|)"
    r"|core\.fsmonitor=(false|0|)|core\.hookspath=(/dev/null|)|pager\.\w+=(false|cat)|sequence\.editor=(true|:|cat)",
    re.IGNORECASE,
)


def git(call: Call, row: Row) -> None:
    """Global options, the repository it works on, the sub-command."""
    from tools.commands.judge import apply, argument

    items = scan(row, call.args)
    scene = call.scene.copy()
    inner = Call(call.reader, scene, call.words, call.shown)
    first = next((item for item in items if item.kind != "option"), None)
    if first is None:
        call.add(row.effects, "tells about git")
        _global(inner, row, items, [])
        return
    name = first.value or ANY
    at = next(number for number, word in enumerate(call.args) if word is name)
    _global(inner, row, items[: items.index(first)], call.args[at:])
    found = row.subs(name.literal)
    if scene.folders != frozenset({WORKSPACE}) and name.literal not in {"init", "clone", "version", "ls-remote"}:
        call.add({Effect.RUN}, "git in another folder reads a configuration that may name programs")
    if not found or not name.is_literal:
        call.add({Effect.RUN}, f"{name.shown()[:40]} is no sub-command that is known, and may be an alias")
        for word in call.args[at + 1 :]:
            argument(call, word)
        if any(item.name in {"-c", "--config-env"} and not (item.value or ANY).is_literal for item in items):
            call.everything("the sub-command may be an alias that is not known")
    for sub in found:
        named = lit(f"git {name.literal or sub.names[0]}")
        apply(Call(call.reader, scene, [named, *call.args[at + 1 :]], call.shown), sub)
    if not places.is_inside(scene.folders):
        call.add({Effect.OUTSIDE}, "works outside the workspace")


def _global(call: Call, row: Row, items: list[Item], rest: list[Text]) -> None:
    """The options before the sub-command; `rest` are the words from there on."""
    for item in items:
        value = item.value or ANY
        if item.kind == "unsure":
            call.add(row.worst, f"{value.shown()[:60]} may be an option")
        elif item.name == "-c":
            _setting(call, value, rest)
        elif item.name == "-C" and not value.many:
            call.scene.folders = places.moved(value, call.scene.folders)
        elif item.name in {"--git-dir", "--work-tree"}:
            _repository(call, item.name, value)
        elif item.name == "--config-env" and value.prefix.lower().startswith("alias."):
            call.everything("what the alias stands for is not known")
        elif item.name in row.granted or item.name not in row.options:
            call.add({Effect.RUN}, f"the option {item.name[:40]} may change what git runs")


def _repository(call: Call, name: str, value: Text) -> None:
    place = places.moved(value, call.scene.folders)
    if place != frozenset({f"{WORKSPACE}/.git" if name == "--git-dir" else WORKSPACE}):
        call.add({Effect.RUN}, f"{name} names another repository")
    if place is None or not places.is_inside(place):
        call.add({Effect.OUTSIDE}, f"{name} is outside the workspace")


def _setting(call: Call, value: Text, rest: list[Text]) -> None:
    key, _, setting = value.prefix.partition("=")
    known = value.literal
    if key.lower().startswith("alias."):
        _alias(call, known, setting, rest)
        return
    if key.lower() == "help.autocorrect" and setting not in {"never", "prompt", "0"}:
        call.everything("which sub-command it is cannot be told")
    if (known is not None and _OFF.fullmatch(known)) or ("=" in value.prefix and _HARMLESS.fullmatch(key)):
        return
    call.add({Effect.RUN}, f"the setting {key[:40]} may name a program")
    command = setting.removeprefix("!").strip()
    if known is not None and command:
        call.reader.maybe_line(command, call.scene.child())


def _alias(call: Call, known: str | None, setting: str, rest: list[Text]) -> None:
    """A sub-command of the line's own: a line, or words of git's."""
    if known is None:
        call.everything("what the alias stands for is not known")
    elif setting.startswith("!"):
        call.reader.maybe_line(
            " ".join([setting[1:], *(word.literal or '"$bridle_unknown"' for word in rest[1:])]),
            call.scene.child(),
        )
        call.add({Effect.RUN}, "the alias runs a command")
    elif re.search(r"[\\'\"$]", setting):
        call.everything("what the alias stands for cannot be told")
    else:
        command_of(call, [lit("git"), *map(lit, setting.split()), *rest[1:]])


def log(call: Call, row: Row) -> None:
    """Formats that ask for signatures run gpg."""
    from tools.commands.judge import generic

    generic(call, row)
    if any(re.search(r"%G|%\(signature|%\(\*?signature", word.literal or word.shown()) for word in call.args):
        call.add({Effect.RUN}, "the format asks gpg about signatures")


def config(call: Call, row: Row) -> None:
    """`git config`: reading, or setting what may name a program."""
    from tools.commands.judge import by_options

    items = scan(row, call.args)
    words, flags = operands(items), options(items)
    call.add({Effect.READ}, "reads the configuration")
    by_options(call, row, items)
    asks = {"-l", "--list", "--get", "--get-all", "--get-regexp", "--get-urlmatch", "--get-colorbool"}
    if surely(row, items, asks) or (words and words[0].literal in {"get", "list"}):
        return
    if words and words[0].literal in {"set", "unset", "edit", "rename-section", "remove-section"}:
        words = [*words[1:], *([lit("")] if words[0].literal != "set" else [])]
    elif len(words) == 1 and not words[0].many:
        return
    key, value = (words[0].literal if words else None) or "", words[1].literal if len(words) > 1 else None
    call.add({Effect.WRITE}, "changes the configuration")
    if key.lower().startswith("alias.") and len(words) > 1:
        _alias(call, value, value or "", [])
    if {"--global", "--system"} & flags:
        call.add({Effect.OUTSIDE}, "changes a configuration outside the workspace")
    if not (_HARMLESS.fullmatch(key) or _OFF.fullmatch(f"{key}={value}")):
        call.add({Effect.RUN, Effect.HISTORY}, f"the setting {key[:40] or 'that is changed'} may name a program")


def remove(call: Call, row: Row) -> None:
    """`git rm`: with --cached only from the index."""
    items = scan(row, call.args)
    only_index = surely(row, items, {"--cached", "-n", "--dry-run"})
    call.add({Effect.WRITE} if only_index else row.effects, row.reason)
    for word in () if only_index else operands(items):
        # Patterns are git's own, and match across folders.
        known = word.literal or ""
        if known.startswith(":") or "*" in known:
            call.empty(lit(".") if known.startswith(":") or places.is_most(known) else word)
        elif "-r" in options(items) or any(item.kind == "unsure" for item in items):
            call.empty(word)


def checkout(call: Call, row: Row) -> None:
    """`git checkout`: a new branch, or files (or what may be files) overwritten."""
    items = scan(row, call.args)
    flags = options(items)
    words = [word.literal for word in call.args]
    call.add({Effect.WRITE, Effect.HISTORY}, "changes the branch")
    starts = surely(row, items, {"-b", "--orphan"}) and not {"-f", "--force", "-B", "-p", "--patch"} & flags
    starts = starts and "--" not in words
    back = words == ["-"]
    if not (starts or back) or None in words:
        call.add({Effect.DESTROY}, "overwrites files that are named, or may be")


def restore(call: Call, row: Row) -> None:
    """`git restore`: with only --staged, the index."""
    from tools.commands.judge import by_options

    items = scan(row, call.args)
    only_index = surely(row, items, {"--staged", "-S"}) and not {"--worktree", "-W"} & options(items)
    only_index = only_index and call.name == "git restore"
    call.add({Effect.WRITE} if only_index else row.effects, "unstages" if only_index else row.reason)
    by_options(call, row, items)


def clean(call: Call, row: Row) -> None:
    """`git clean`: -n only tells, unless it is taken back."""
    items = scan(row, call.args)
    tells = surely(row, items, {"-n", "--dry-run"})
    call.add({Effect.READ} if tells else row.effects, row.reason)


def branch(call: Call, row: Row) -> None:
    """`git branch` and `git tag`: a list, or a name that is made, moved or dropped."""
    from tools.commands.judge import by_options

    items = scan(row, call.args)
    call.add(row.effects, "lists names")
    by_options(call, row, items)
    lists = {
        "-l",
        "--list",
        "--contains",
        "--no-contains",
        "--merged",
        "--no-merged",
        "--points-at",
        "--show-current",
        "-n",
    }
    if any(item.kind != "option" for item in items) and not surely(row, items, lists):
        call.add({Effect.HISTORY}, "makes or moves a name in the history")
    if call.name == "git tag" and {"-v", "-s", "-u", "--verify", "--sign", "--local-user"} & options(items):
        call.add({Effect.RUN}, "asks gpg about a signature")


def inner(call: Call, row: Row) -> None:
    """Commands that list when nothing else is asked of them."""
    from tools.commands.judge import by_options, sub_command

    items = scan(row, call.args)
    words, flags = operands(items), options(items)
    if row.sub and sub_command(call, row, items):
        return
    by_options(call, row, items)
    name = call.name.removeprefix("git ")
    if name == "reflog":
        lists = all(re.fullmatch(r"HEAD|[^\s:]+@\{[^}]*\}", word.literal or "") for word in words)
    elif name == "symbolic-ref":
        lists = len(words) == 1 and not words[0].many and flags <= {"--short", "-q", "--quiet", "--recurse"}
    else:
        lists = name in {"notes", "worktree", "replace"} and not words and flags <= {"-l", "--list", "-v"}
    call.add({Effect.READ} if lists else row.effects, "lists" if lists else row.reason)


def visualize(call: Call, row: Row) -> None:
    """`git bisect visualize`: behind it stand options of `git log`, or a command."""
    call.add(row.effects, row.reason)
    word = call.args[0] if call.args else lit("-")
    if not word.prefix or word.prefix.startswith(("git", "tig")):
        call.everything("runs a command that is not known")
    elif not word.prefix.startswith("-"):
        command_of(call, [lit("git"), *call.args])


def other_repository(call: Call, row: Row) -> None:
    """`fetch`, `clone`, `pull`: from somewhere else."""
    from tools.commands.judge import generic

    generic(call, row)
    name = call.name.removeprefix("git ")
    items = scan(row, call.args)
    words = operands(items)
    for item in items:
        if name == "clone" and item.name in {"-c", "--config"}:
            _setting(call, item.value or ANY, [])
    for word in words:
        if re.match(r"(ext|fd)::", word.prefix):
            call.add({Effect.RUN}, "the address runs a command")
            call.reader.maybe_line(word.prefix.partition("::")[2], call.scene.child())
    if name in {"fetch", "pull"} and any(":" in (word.literal or ":") for word in words[1:]):
        call.add({Effect.HISTORY}, "moves a branch to what it fetched")
    if name in {"fetch", "pull"} and any(word.prefix.startswith("+") for word in words):
        call.add({Effect.HISTORY, Effect.DESTROY}, "moves a branch though it loses commits")
    if name == "pull":
        call.add({Effect.WRITE, Effect.HISTORY}, "merges what it fetched")
    elif name == "clone":
        call.add({Effect.WRITE}, "writes what it fetched")
        for word in words[1:] or [lit(".")]:
            call.write(word, "writes what it fetched")
