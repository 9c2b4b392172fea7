"""What a command prints, where that can be told from its words: for `$(…)` and for what a shell is fed."""

from __future__ import annotations

import posixpath
import re

from sandboxes.protocol import WORKSPACE
from tools.commands import names
from tools.commands.call import Call
from tools.commands.text import ANY, MAYBE, NAME, Part, Text, joined, lit, spaced
from tools.paths import is_below

# Letters and dashes could make a name or an option of it, so that digits stand between all that is no digit.
_DATE = re.compile(r"\+%[YmdHMSsjyF]([-_.:T]?%[YmdHMSsjyFN])*")


def printed(call: Call) -> Text:
    """The output of a command of the table; ANY when it is not known."""
    name = call.name
    if name == "echo":
        return _echo(call)
    if name == "printf":
        return _printf(call)
    if name == "cat":
        return _cat(call)
    if name == "pwd" and call.scene.folders is not None and len(call.scene.folders) == 1:
        return lit(next(iter(call.scene.folders)))
    if name in {"nproc", "wc"}:
        return NAME if _only_counts(call) else ANY
    if name == "date" and len(call.args) == 1 and _DATE.fullmatch(call.args[0].literal or ""):
        return NAME
    if name == "mktemp":
        return _mktemp(call)
    if name in {"basename", "dirname"}:
        return _basename(call)
    if name == "git":
        return _git(call)
    if name in {"find", "rg", "grep", "fd", "fdfind", "sort", "uniq", "head", "tail"}:
        return names.listed(call)
    return ANY


def _only_counts(call: Call) -> bool:
    words = [word.literal for word in call.args]
    if call.name == "nproc":
        return words in ([], ["--all"])
    return call.scene.stdin is not None and len(words) == 1 and words[0] in {"-l", "-c", "-w"}


def _echo(call: Call) -> Text:
    args = list(call.args)
    options = set()
    while args and re.fullmatch(r"-[neE]+", args[0].literal or ""):
        options.add(args.pop(0).literal or "")
    if any(word.many for word in args):
        return ANY
    text = spaced(args)
    if any("\\" in part.text for part in text.parts if part.kind == "lit"):
        return ANY  # some shells read escapes in it
    return text if any("n" in option for option in options) else joined(text, lit("\n"))


def _printf(call: Call) -> Text:
    args = list(call.args)
    form = args[0].literal if args else None
    if form is None or form.startswith("-") or any(word.many for word in args):
        return ANY
    if form in {"%s", "%s\\n"} and len(args) == 2:
        return joined(args[1], lit("\n"))
    plain = form.replace("\\n", "\n").replace("%%", "%")
    return lit(plain) if len(args) == 1 and "%" not in plain and "\\" not in plain else ANY


def _cat(call: Call) -> Text:
    if call.args and [word.literal for word in call.args] != ["-"]:
        return ANY
    return call.scene.stdin or ANY


def _mktemp(call: Call) -> Text:
    """The name of a file or a folder; nothing if it cannot be made."""
    words = [word.literal for word in call.args]
    if "TMPDIR" in call.scene.changed:
        return ANY
    if all(word in {"-d", "-q", "-t"} for word in words):
        return Text((Part("opt", "/tmp/tmp.0"),))  # noqa: S108 -- inside the sandbox
    template = words[-1] or ""
    flags = all(word in {"-d", "-q", "-u"} or re.fullmatch(r"--suffix=[\w.]+", word or "") for word in words[:-1])
    if flags and re.fullmatch(r"(/tmp/)?[\w.]+XXX+[\w.]*", template):
        return Text((Part("opt", template.partition("XXX")[0] + "0"),))
    return ANY


def _basename(call: Call) -> Text:
    """`basename` of one path, and maybe an ending; `dirname` of one. The name of the root is a slash."""
    words = call.args[1:] if call.args and call.args[0].literal == "--" else call.args
    if not 1 <= len(words) <= (1 if call.name == "dirname" else 2) or any(word.many for word in words):
        return ANY
    if words is call.args and any(word.may_be_option() and word.parts[0].kind == "lit" for word in words):
        return ANY
    path = words[0].literal
    if path is None:
        return ANY if call.name == "dirname" else Text((Part("stem"),))
    bare = path.rstrip("/") or path[:1]
    if call.name == "dirname":
        return lit(posixpath.dirname(bare).rstrip("/") or ("/" if path.startswith("/") else "."))
    name = posixpath.basename(bare) or bare
    ending = words[1].literal if len(words) == 2 else ""
    if ending is None:
        return Text((Part("stem"),))
    return lit(name.removesuffix(ending) or name)


def _git(call: Call) -> Text:
    words = [word.literal for word in call.args]
    folders = call.scene.folders
    if words == ["rev-parse", "--show-toplevel"] and folders is not None:
        if folders == {WORKSPACE}:
            return Text((Part("opt", WORKSPACE),))
        if all(is_below(folder, WORKSPACE) for folder in folders):
            return Text((Part("opt", WORKSPACE + "/"), Part("below")))
    if words[:2] == ["rev-parse", "--short"] or words in (
        ["rev-parse", "HEAD"],
        ["rev-parse", "--abbrev-ref", "HEAD"],
    ):
        return MAYBE if words[-1] == "HEAD" and "--abbrev-ref" not in words else ANY
    return names.listed(call)
