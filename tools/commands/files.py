"""Commands on files whose operands mean more than their position says."""

from __future__ import annotations

import re

from tools.commands.call import Call, Item, operands, options, scan, surely
from tools.commands.table import Row
from tools.commands.text import ANY, Text, joined, lit
from tools.protocol import Effect

_HERE = lit(".")


def copy(call: Call, row: Row) -> None:
    """`cp`, `mv`, `install`: what lands in a folder keeps its name there."""
    from tools.commands.judge import generic

    generic(call, row)
    items = scan(row, call.args)
    words = operands(items)
    target = next((i.value for i in items if i.name in {"-t", "--target-directory"} and i.value is not None), None)
    sources = words if target is not None else words[:-1]
    into = target or (words[-1] if words else ANY)
    for source in sources:
        name = source.literal.rstrip("/").rpartition("/")[2] if source.literal else ""
        if name and name not in {".", ".."}:
            call.write(joined(into, lit("/" + name)))
        if source.literal == "/dev/null":
            call.delete(into)
        if call.name == "mv" and source.is_literal:
            call.empty(source)


def link(call: Call, row: Row) -> None:
    """`ln`: a link is a way to where it leads, so that making it counts as writing there."""
    from tools.commands.judge import by_options

    items = scan(row, call.args)
    words, flags = operands(items), options(items)
    call.add(row.effects, row.reason, general=True)
    by_options(call, row, items)
    where = words[-1] if len(words) > 1 else lit(".")
    call.write(where)
    for target in words[:-1] or words:
        from_link = {"-s", "--symbolic"} & flags and not {"-r", "--relative"} & flags and target.prefix[:1] != "/"
        if not from_link or any(item.kind == "unsure" for item in items):
            call.write(target, "makes a link to there")
        elif where.is_literal:
            for folder in (where.prefix, where.prefix.rpartition("/")[0] or "."):
                call.write(joined(lit(folder + "/"), target), "makes a link to there")
        else:
            call.write(ANY, "makes a link to a place that is not known")


def mode(call: Call, row: Row) -> None:
    """`chmod -R u-x`: a mode may look like an option."""
    from tools.commands.judge import by_operands, by_options

    args = [
        word
        for word in call.args
        if not re.fullmatch(r"-[rwxXstugo,+=-]+", word.literal or "") or word.literal == "-R"
    ]
    items = scan(row, args)
    call.add(row.effects, row.reason, general=True)
    by_options(call, row, items)
    if len(args) < len(call.args) or any(item.name == "--reference" for item in items):
        items = [Item("operand", "", lit("mode")), *items]
    by_operands(call, row, items)


def dd(call: Call, row: Row) -> None:
    """`dd`: words like `of=FILE`."""
    call.add({Effect.READ}, "copies bytes")
    for word in call.args:
        key, equals, _ = word.prefix.partition("=")
        value = word.cut(len(key) + 1)
        if key == "of" and equals:
            call.delete(value)
        elif key == "if" and equals:
            call.read(value)
        elif not word.is_literal and not equals:
            call.delete(ANY)


def tar(call: Call, row: Row) -> None:
    """`tar`: what it does is one of its letters, which may lack their dash."""
    from tools.commands.judge import argument

    items = scan(row, _dashed(row, call.args))
    flags = options(items)
    unsure = any(item.kind == "unsure" or item.name not in row.options for item in items if item.kind != "operand")
    call.add({Effect.READ}, "reads or makes an archive")
    _tar_options(call, row, items)
    folders = [item.value for item in items if item.name in {"-C", "--directory"} and item.value is not None]
    archives = [item.value or ANY for item in items if item.name in {"-f", "--file"}]
    if unsure or ({"-x", "--extract", "--get"} & flags and not {"-O", "--to-stdout"} & flags):
        call.add({Effect.WRITE, Effect.RUN}, "unpacks whatever the archive holds")
        for folder in folders or [_HERE]:
            call.write(folder)
    if unsure or not {"-x", "--extract", "--get", "-t", "--list", "-d", "--diff", "--compare"} & flags:
        for archive in archives:
            if archive.literal != "-":
                call.write(archive)
    for archive in archives:
        argument(call, archive)
        if re.match(r"[^/]*:", archive.prefix):
            call.add({Effect.NETWORK, Effect.RUN}, "the archive is at another host")
    for word in operands(items):
        call.read(word)


def _tar_options(call: Call, row: Row, items: list[Item]) -> None:
    from tools.commands.judge import by_options

    others = [i for i in items if i.name not in {"-f", "--file", "-C", "--directory", "--checkpoint-action"}]
    by_options(call, row, others)
    for item in items:
        if item.name == "--checkpoint-action":
            call.add({Effect.RUN}, "the option --checkpoint-action can run a command")
            value = item.value or ANY
            if value.prefix.startswith("exec="):
                call.reader.code(value.cut(5), call.scene.child(), "--checkpoint-action")


def _dashed(row: Row, args: list[Text]) -> list[Text]:
    """`tar xzf A -C B` with its letters apart and each followed by its value."""
    letters = args[0].literal if args else None
    if letters is None or letters.startswith("-"):
        return args
    rest, made = args[1:], list[Text]()
    for letter in letters:
        made.append(lit(f"-{letter}"))
        if row.takes(f"-{letter}") and rest:
            made.append(rest.pop(0))
    return [*made, *rest]


def unzip(call: Call, row: Row) -> None:
    """`unzip`: it writes unless it lists or prints."""
    from tools.commands.judge import by_operands, by_options

    items = scan(row, call.args)
    call.add({Effect.READ}, "reads an archive")
    by_options(call, row, items)
    by_operands(call, row, items)
    if not surely(row, items, {"-l", "-t", "-p", "-v", "-z", "-Z"}):  # a dash within letters takes them back
        call.add({Effect.WRITE, Effect.RUN}, "unpacks whatever the archive holds")
        if "-d" not in options(items):
            call.write(_HERE)


def squeeze(call: Call, row: Row) -> None:
    """`gzip` and the like: files are replaced, unless the result is printed."""
    from tools.commands.judge import by_options, generic

    items = scan(row, call.args)
    words = operands(items)
    printed = surely(row, items, {"-c", "--stdout", "--to-stdout"})
    told = surely(row, items, {"-t", "--test", "-l", "--list"})
    works = {"-z", "-d", "--compress", "--decompress", "--uncompress", "--train", "-o", "--rm"} & options(items)
    if (printed and not {"-o", "--rm"} & options(items)) or (told and not works) or not words:
        call.add({Effect.READ}, "reads")
        by_options(call, row, items)
        for word in words:
            call.read(word)
    else:
        generic(call, row)


def rsync(call: Call, row: Row) -> None:
    """`rsync`: HOST:PATH is at another host."""
    from tools.commands.judge import generic

    generic(call, row)
    for word in operands(scan(row, call.args)):
        if re.match(r"[^/]*:|rsync://", word.prefix) or (word.wild and not word.prefix.startswith(("/", "."))):
            call.add({Effect.NETWORK}, f"{word.shown()[:60]} may be at another host")


def editor(call: Call, row: Row) -> None:
    """`vim -c '!cmd'`, `sqlite3 x '.shell cmd'` and the like."""
    from tools.commands.judge import argument, generic

    generic(call, row)
    for word in [*call.args, *([call.scene.stdin] if call.scene.stdin is not None else [])]:
        for part in word.parts:
            for match in re.finditer(
                r"(?:!|^\s*\.(?:shell|system)\b)([^\n|]+)|\b(?:system\(|shell-command\s+)['\"]([^'\"]+)",
                part.text if part.kind == "lit" else "",
            ):
                call.reader.maybe_line((match[1] or match[2]).strip("'\" )"), call.scene.child())
            if "delete-" in part.text:
                call.add({Effect.DESTROY}, "its code deletes")
            for match in _WRITES.finditer(part.text if part.kind == "lit" else ""):
                argument(call, lit(match[1]))


_WRITES = re.compile(
    r"(?:^|[\s|:;+])(?:w|wq|write|sav\w*|up\w*|x|xit|\.output|\.once|\.backup|\.save|\.log)!?\s*(?:>>\s*)?([~./][^\s|'\"]*)",
    re.MULTILINE,
)
"""How editors and the like are told to write to another file."""


def yq(call: Call, row: Row) -> None:
    """`yq`: with -i the files are written; which operand is the first of them differs from yq to yq."""
    from tools.commands.judge import generic

    generic(call, row)
    items = scan(row, call.args)
    if {"-i", "--inplace", "--in-place"} & options(items) or any(item.kind == "unsure" for item in items):
        for word in operands(items):
            call.write(word)
