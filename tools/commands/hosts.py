"""Commands that reach other hosts, unless they are told to stay here."""

from __future__ import annotations

import re

from tools.commands.call import Call, command_of, is_local, operands, options, remote, scan
from tools.commands.table import Row
from tools.commands.text import ANY, Text, lit
from tools.protocol import Effect


def curl(call: Call, row: Row) -> None:
    """`curl`: to this very machine it is not the network."""
    from tools.commands.judge import by_options

    items = scan(row, call.args)
    urls, flags = operands(items), options(items)
    by_options(call, row, items)
    for item in items:
        if item.kind == "option" and item.value is not None and re.match(r"@", item.value.prefix):
            call.read(item.value.cut(1))
        if item.name in {"-w", "--write-out"} and "%output{" in (item.value or ANY).shown():
            call.write(ANY, "its format names files to write")
    if {"-O", "--remote-name", "-J", "--remote-name-all"} & flags:
        call.write(lit("."), "writes what it fetches")
    if urls and all(is_local(url) for url in urls) and not any(item.kind == "unsure" for item in items):
        call.add({Effect.RUN}, "asks a server on this machine")
    elif flags - {"--version", "--help", "-V", "-h"} or urls:
        call.add({Effect.NETWORK}, row.reason)
    else:
        call.add({Effect.READ}, "tells about itself")


def name_service(call: Call, row: Row) -> None:
    """`getent`: hosts and the like ask a name server."""
    call.add({Effect.READ}, "reads a database of the system")
    database = call.args[0].literal if call.args else ""
    if database not in {"passwd", "group", "shadow", "services", "protocols", "--help", "--version", ""}:
        call.add({Effect.NETWORK}, "may ask a name server")


def offline(call: Call, row: Row) -> None:
    """A package manager that was told to stay offline does not ask its index."""
    from tools.commands.judge import generic

    words = [word.literal for word in call.args]
    words = words[: words.index("--")] if "--" in words else words
    if {"--offline", "--no-index"} & set(words) and Effect.NETWORK in row.effects:
        row = row.model_copy(update={"effects": row.effects - {Effect.NETWORK}})
    generic(call, row)


def fetch_and_run(call: Call, row: Row) -> None:
    """`npx`: fetches a package unless told not to, and runs it. Behind the package the options are its own."""
    before: set[str | None] = set()
    rest = list(call.args)
    while rest and rest[0].may_be_option():
        word = rest.pop(0)
        option = word.literal
        before.add(option)
        if match := re.match(r"--call=", word.prefix):
            call.reader.code(word.cut(match.end()), call.scene.child(), "npx")
        if option in {"-c", "--call"}:
            call.reader.code(rest[0] if rest else ANY, call.scene.child(), "npx")
        if option in {"-p", "--package", "-c", "--call", "--from", "--with", "--python", "-w", "--workspace"}:
            rest = rest[1:]
    plain = {"--no-install", "--offline", "--no", "-q", "--quiet", "--silent", "-s", "--prefer-offline"}
    stays = before <= plain and before & {"--no-install", "--offline", "--no"}
    effects = row.effects - ({Effect.NETWORK} if stays else set())
    call.add(effects, "runs a package that is installed" if stays else row.reason)
    if rest:
        command_of(call, rest)


def addresses(call: Call, row: Row) -> None:
    """What reads files, or fetches them where it is given an address."""
    from tools.commands.judge import generic

    generic(call, row)
    if any(remote(word) for word in call.args):
        call.add({Effect.NETWORK}, "fetches what it reads")


def npm_init(call: Call, row: Row) -> None:
    """`npm init NAME`: runs the package create-NAME."""
    from tools.commands.judge import generic

    generic(call, row)
    if any(not re.match(r"-(y|-yes|f|-force|-scope=.*)$", word.literal or "") for word in call.args):
        call.add({Effect.NETWORK}, "fetches a package that makes projects")


def go_run(call: Call, row: Row) -> None:
    """`go run MODULE@VERSION`: fetches it first."""
    from tools.commands.judge import generic

    generic(call, row)
    if any("@" in word.prefix or (word.wild and not word.prefix) for word in _of_go(call.args)):
        call.add({Effect.NETWORK}, "fetches the module it runs")


def _of_go(args: list[Text]) -> list[Text]:
    """The words up to the package, which is the first that is no option nor ends one's value."""
    at = next((at for at, word in enumerate(args) if not word.may_be_option() and "@" in word.prefix), None)
    first = next((at for at, word in enumerate(args) if re.search(r"\.go$|^\.", word.prefix)), len(args))
    return args[: first + 1] if at is None or at > first else args[: at + 1]
