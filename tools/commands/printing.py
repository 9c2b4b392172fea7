"""What a command prints, where that can be told from its words: for `$(…)` and for what a shell is fed."""

from __future__ import annotations

import re

from sandboxes.protocol import WORKSPACE
from tools.commands import names
from tools.commands.call import Call, operands, scan
from tools.commands.parameters import stripped
from tools.commands.table import table
from tools.commands.text import ANY, NAME, Part, Text, joined, lit, spaced
from tools.paths import is_below

_NUMBERS = frozenset({"nproc", "wc", "id", "arch", "uname", "whoami", "hostname", "expr", "getconf", "tput"})


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
    if name in _NUMBERS and not any(word.wild for word in call.args):
        return NAME if name in {"nproc", "wc"} and _only_counts(call) else ANY
    if (
        name == "date"
        and len(call.args) == 1
        and re.fullmatch(r"\+(%[YmdHMSsjN]|[\w.]|-(?!$))*", call.args[0].literal or "")
    ):
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
    return call.name == "nproc" or (
        call.scene.stdin is not None and all(a.literal in {"-l", "-c", "-w"} for a in call.args)
    )


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
    if form is None or any(word.many for word in args):
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
    if all(word.literal in {"-d", "-q", "-t"} for word in call.args):
        return joined(lit("/tmp/tmp."), NAME)  # noqa: S108 -- inside the sandbox
    template = call.args[-1].literal or ""
    if all(word.is_literal for word in call.args) and re.fullmatch(r"[\w./-]*X{3,}[\w.]*", template):
        if any(word.literal in {"-t", "-p", "--tmpdir"} for word in call.args):
            return ANY
        return joined(lit(template.partition("XXX")[0]), NAME)
    return ANY


def _basename(call: Call) -> Text:
    row = table().rows["basename"]
    words = operands(scan(row, call.args))
    if not words or any(word.many for word in words):
        return ANY
    if call.name == "dirname":
        return (
            stripped(words[0], "%", joined(lit("/*"))) if words[0].is_literal and "/" in words[0].prefix else ANY
        )
    name = stripped(words[0], "##", lit("*/"))
    return (
        stripped(name, "%", words[1])
        if len(words) == 2 and name.is_literal
        else name
        if name.is_literal
        else Text((Part("stem"),))
    )


def _git(call: Call) -> Text:
    words = [word.literal for word in call.args]
    folders = call.scene.folders
    if words == ["rev-parse", "--show-toplevel"] and folders is not None:
        if folders == {WORKSPACE}:
            return lit(WORKSPACE)
        if all(is_below(folder, WORKSPACE) for folder in folders):
            return Text((Part("lit", WORKSPACE + "/"), Part("below")))
    if words[:2] == ["rev-parse", "--short"] or words in (
        ["rev-parse", "HEAD"],
        ["rev-parse", "--abbrev-ref", "HEAD"],
    ):
        return NAME if words[-1] == "HEAD" and "--abbrev-ref" not in words else ANY
    return names.listed(call)
