"""Commands that reach other hosts, unless they are told to stay here."""

from __future__ import annotations

import re

from tools.commands.call import Call, command_of, is_local, operands, options, scan
from tools.commands.table import Row
from tools.commands.text import lit
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

    words = {word.literal for word in call.args}
    if {"--offline", "--no-index"} & words and Effect.NETWORK in row.effects:
        row = row.model_copy(update={"effects": row.effects - {Effect.NETWORK}})
    generic(call, row)


def fetch_and_run(call: Call, row: Row) -> None:
    """`npx`: fetches a package unless told not to, and runs it."""
    words = [word for word in call.args if not word.prefix.startswith("-")]
    stays = {"--no-install", "--offline", "--no"} & {word.literal for word in call.args}
    effects = row.effects - ({Effect.NETWORK} if stays else set())
    call.add(effects, "runs a package that is installed" if stays else row.reason)
    if words:
        command_of(call, words)
