"""sed and awk: what their scripts could do beyond printing, and their files.

Threat model: a sed script that is not understood to the letter can do all that sed can; an awk program that holds
anything by which awk runs or writes does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.commands import places
from tools.commands.call import Call, is_clear, operands, options, scan
from tools.commands.shells import text_of
from tools.commands.table import Row
from tools.commands.text import ANY, DASH, Text, joined, lit
from tools.protocol import Effect

_ADDRESS = re.compile(r"\s*(?:\d+(?:~\d+)?|\$|\+\d+|~\d+)")


class _UnclearError(Exception):
    """A sed script that is not understood to the letter."""


def sed(call: Call, row: Row) -> None:
    """`sed`: its script, and its files, which -i writes."""
    from tools.commands.judge import by_options

    items = scan(row, call.args)
    call.add({Effect.READ}, "edits what it reads")
    by_options(call, row, items)
    words, flags = operands(items), options(items)
    scripts = [item.value or ANY for item in items if item.name in {"-e", "--expression"}]
    if not scripts and not {"-f", "--file"} & flags and words:
        scripts, words = words[:1], words[1:]
    for item in items:
        if item.name in {"-f", "--file"} and (read := text_of(item.value or ANY, call.scene)) is not None:
            scripts.append(read)
    for script in scripts:
        for variant in _without_signs(script).variants() or (ANY,):
            sed_script(call, variant)
    if any(item.kind == "unsure" for item in items):
        call.add(places.UNKNOWN_PLACE, "what is its script and what its files cannot be told")
    in_place = {"-i", "-I", "--in-place"} & flags
    for word in words:
        if in_place or any(item.kind == "unsure" for item in items):
            call.write(word)
        else:
            call.read(word)
    for item in items:
        if item.name in {"-i", "--in-place"} and item.value is not None:
            _backups(call, item.value, words)
    fed = call.scene.stdin
    if fed is not None and not words and any(_runs_input(script) for script in scripts):
        call.reader.code(fed, call.scene.child(), "sed e")


def _backups(call: Call, suffix: Text, files: list[Text]) -> None:
    """Where `sed -i SUFFIX` keeps what was there: beside the file, or where the suffix leads."""
    if re.search(r"[/*]", suffix.prefix) or not suffix.is_literal:
        call.write(suffix)
        for file in files:
            folder = (file.literal or file.prefix).rpartition("/")[0]
            call.write(joined(lit(folder + "/"), suffix) if folder else suffix)


def _runs_input(script: Text) -> bool:
    """Does it run what it reads? What is not understood claims that by itself."""
    if script.literal is None:
        return False
    try:
        return any(sign == "e" and not value for sign, value in _sed_commands(script.literal))
    except _UnclearError:
        return False


def _without_signs(script: Text) -> Text:
    """The sign of a number changes nothing about what a script does, besides that it may be none."""
    return Text(tuple(part for part in script.parts if part != DASH), script.many)


def sed_script(call: Call, script: Text) -> None:
    """What a script could do beyond editing."""
    from tools.commands.judge import only_worse

    spelled = "".join(part.text if part.kind == "lit" else "7" for part in script.parts)
    if script.many or any(part.kind not in {"lit", "name"} for part in script.parts):
        # Of a script that is begun in the line, the rest is code that hides what it does.
        begun = not script.many and re.match(r"[\d$,]*[sy][^\w\s]", script.prefix)
        effects = {Effect.WRITE, Effect.RUN} if begun else places.UNKNOWN_PLACE
        call.add(effects, "the script of sed is not known")
        return
    try:
        for sign, value in _sed_commands(spelled):
            if sign == "e":
                call.add({Effect.RUN}, "sed runs a command with e")
                call.reader.code(lit(value), call.scene.child(), "sed e") if value else None
            elif sign == "w":
                call.write(lit(value))
    except _UnclearError:
        call.add(places.UNKNOWN_PLACE, "the script of sed is not understood")
        for match in re.finditer(r"e\s+([^\n]+)", spelled):
            only_worse(call, match[1], [])


def _sed_commands(script: str) -> list[tuple[str, str]]:
    """The commands that run ("e", command) or write ("w", file). Raises _UnclearError."""
    found: list[tuple[str, str]] = []
    at = 0
    while True:
        at = _after(r"[\s;}]*", script, at)
        if at >= len(script):
            return found
        at = _sed_address(script, at)
        sign = script[at : at + 1]
        at += 1
        if sign in set("={dDgGhHnNpPxzF"):
            at = at if sign == "{" else _ended(script, at)
        elif sign in set("lLqQ"):
            at = _ended(script, _after(r"\s*\d*", script, at))
        elif sign == "#":
            at = _after(r"[^\n]*", script, at)
        elif sign in set("aic"):
            at = _after(r"(?:\\.|[^\\\n]|\\\n)*", script, at, re.DOTALL)
        elif sign in set(":btT"):
            at = _after(r"\s*[\w.-]*", script, at)
        elif sign in set("rR"):
            at = _after(r"[^\n]*", script, at)
        elif sign in set("wWe"):
            end = _after(r"[^\n]*", script, at)
            found.append(("e" if sign == "e" else "w", script[at:end].strip()))
            at = end
        elif sign in {"s", "y"}:
            at = _sed_substitution(script, at, sign, found)
        else:
            raise _UnclearError


def _after(pattern: str, script: str, at: int, flags: int = 0) -> int:
    match = re.compile(pattern, flags).match(script, at)
    return match.end() if match else at


def _ended(script: str, at: int) -> int:
    at = _after(r"[ \t]*", script, at)
    if at < len(script) and script[at] not in ";}\n#":
        raise _UnclearError
    return at


def _sed_address(script: str, at: int) -> int:
    for _ in range(2):
        match = _ADDRESS.match(script, at)
        if match:
            at = match.end()
        elif script[at : at + 1] == "/" or script[at : at + 1] == "\\":
            start = at + (2 if script[at] == "\\" else 1)
            at = _after(r"[IM]*", script, _delimited(script, start, script[start - 1], regex=True))
        else:
            break
        at = _after(r"\s*", script, at)
        if script[at : at + 1] != ",":
            break
        at = _after(r"\s*", script, at + 1)
    return _after(r"[\s!]*", script, at)


def _delimited(script: str, at: int, sign: str, *, regex: bool) -> int:
    """Behind the next `sign` that no backslash is before. In brackets, seds differ on what it means."""
    start = at
    while at < len(script) and script[at] != sign:
        at += 2 if script[at] == "\\" else 1
    if at >= len(script) or sign in "\n\\" or sign.isspace():
        raise _UnclearError
    inside = re.sub(r"\\.", "", script[start:at])
    if regex and inside.count("[") and "[" in re.sub(r"\[\^?\]?[^\]]*\]", "", inside):
        raise _UnclearError
    return at + 1


def _sed_substitution(script: str, at: int, sign: str, found: list[tuple[str, str]]) -> int:
    delimiter = script[at : at + 1] or "\n"
    at = _delimited(script, at + 1, delimiter, regex=sign == "s")
    at = _delimited(script, at, delimiter, regex=False)
    if sign == "y":
        return _ended(script, at)
    end = _after(r"[gpiImM\d]*", script, at)
    while script[end : end + 1] == "e":
        found.append(("e", ""))
        end = _after(r"[gpiImM\d]*", script, end + 1)
    if script[end : end + 1] == "w":
        stop = _after(r"[^\n]*", script, end)
        found.append(("w", script[end + 1 : stop].strip()))
        return stop
    return _ended(script, end)


# awk


def awk(call: Call, row: Row) -> None:
    """`awk`: its program, then its files."""
    from tools.commands.judge import by_options

    items = scan(row, call.args)
    call.add({Effect.READ}, "works on what it reads")
    by_options(call, row, items)
    words, flags = operands(items), options(items)
    programs = [item.value or ANY for item in items if item.name in {"-e", "--source"}]
    clear = is_clear(row, items)
    if not clear:
        programs += words
    elif not programs and not {"-f", "--file", "-E", "--exec"} & flags and words:
        programs, words = words[:1], words[1:]
    values = [item.value or ANY for item in items if item.name in {"-v", "--assign"}]
    values += [word for word in words if re.match(r"\w+=", word.prefix)]
    given = [value.cut(len(value.prefix.partition("=")[0]) + 1) for value in values] + words
    for item in items:
        if item.name in {"-f", "--file", "-E", "--exec"}:
            programs += [read] if (read := text_of(item.value or ANY, call.scene)) is not None else []
    for program in programs:
        for variant in _without_signs(program).variants() or (ANY,):
            awk_program(call, variant, given)
    for word in words:
        if clear and not {"-i", "--include"} & flags:
            call.read(word)
        else:
            call.write(word)


def awk_program(call: Call, program: Text, values: list[Text]) -> None:
    """What an awk program could do beyond printing. No sign is trusted to stand in a text or a pattern.

    `values` are what its variables, and its arguments, are given.
    """
    known = program.literal
    if known is None:
        if program.many or any(part.kind not in {"lit", "name"} for part in program.parts):
            call.add(places.UNKNOWN_PLACE, "the program of awk is not known")
            return
        known = "".join(part.text or "7" for part in program.parts)
    if re.search(r"\bsystem\b|\|&|@|\bgetline\b|(?<!\|)\|(?!\|)", known):
        call.add({Effect.RUN}, "awk may run a command")
        texts = [re.sub(r"\\(.)", r"\1", match[1]) for match in _STRING.finditer(known)]
        for text in [*texts, "".join(texts)]:
            call.reader.maybe_line(text, call.scene.child())
        for value in [*values, *([call.scene.stdin] if call.scene.stdin is not None else [])]:
            if value.literal is not None:
                call.reader.maybe_line(value.literal, call.scene.child())
        if _HOSTS.search(known):
            call.add({Effect.NETWORK}, "awk may open a connection")
    for target in _awk_targets(known):
        call.write(lit(target) if target else ANY, "awk may write to a file")


_STRING = re.compile(r"\"((?:[^\"\\]|\\.)*)\"")
_HOSTS = re.compile(r"/inet[46]?/")
_TARGET = re.compile(r">\s*(?:\"([^\"\\]*)\"\s*(?:[;}\n]|$)|(\d+)(?=\s*(?:[;})&|?\n]|$)))")
_NO_SIGN = re.compile(r"(?<!-)->|=>|>\s*=")
"""What is an error, or compares, outside of a text."""


def _awk_targets(program: str) -> Iterator[str]:
    """The files behind each `>` that may be a redirection, "" where one cannot be told.

    Texts are only told apart where there is neither a pattern nor a comment, which could begin or end one.
    """
    texts = [] if re.search(r"[/#]", program) else [match.span() for match in _STRING.finditer(program)]
    for sign in re.finditer(r"[-=]?>+", program):
        at = sign.end() - 1
        inside = any(start < at < end - 1 for start, end in texts)
        if inside or _NO_SIGN.match(program, sign.start()) or "print" not in program[:at]:
            continue
        match = _TARGET.match(program, at)
        yield (match[1] or match[2] or "") if match is not None else ""
