"""A judge of shell_effects that shares nothing with it: what claims to read is run, and must change nothing."""

import random
import shutil

import pytest

from sandboxes.protocol import WORKSPACE
from tools.commands.table import table
from tools.protocol import Effect, Workbench
from tools.shell_effects import shell_effects

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]

# Files whose names are options, and a program that would tell of being run.
TRAPS = r"""
mkdir -p src; printf '#!/bin/sh\ntouch %s/ran\n' "$PWD" > trap; chmod 755 trap; cp trap src/ls
printf 'b\na\n' > a; printf 'c\n' > b; cp a src/x.py
touch -- -delete -exec -oout -i -C --set=x '1w out'
touch 'src/-delete' 'src/-oout'; ln -s a link; mkdir d
"""
NAMES = "a b src src/* * ./* link - out ./trap src/x.py"
OPTIONS = r"""
-- -n -o -oout -uo -i -v -V -p -c -s -z -f -r -e -E -C -d -1 -T. -exec -delete -fprint -name --pre --pre=./trap
--output=out --outp=out --compress-program=./trap --set=x -[a-z]* '1,$p' 1p -print -eq ] ! = {} + ';'
"""
SYNTAX = r"""
'$(./trap)' 'a[$(./trap)]' 'x;./trap' "$(./trap)" $(./trap) `./trap` <(./trap) (./trap) x=./trap 2>&1 2>/dev/null
>/dev/null 2>&1x >out >>out &>out >&out >/dev/null2 <a # \ & ; && || | ls command '*' '' [a-b] src/?
"""
GLUES = [" ", " ", " ", " ", " ", " ", "", "\t"]
READ_ONLY = [name for name, row in table().rows.items() if row.effects == {Effect.READ} and shutil.which(name)]
LIMITED = [name for name in READ_ONLY if not table().rows[name].any or table().rows[name].special]
SOURCES = [NAMES.split(), NAMES.split(), OPTIONS.split(), [*SYNTAX.split(), "\n", "'1w out'", "'1e ./trap'"]]


def candidates(count: int) -> list[str]:
    """Commands that claim to read only, out of many that look much like it; the same ones every time."""
    dice = random.Random(1)
    found: set[str] = set()
    while len(found) < count:
        words = [dice.choice(LIMITED if dice.random() < 0.9 else READ_ONLY)]
        for _ in range(dice.randint(1, 4)):
            words += [dice.choice(GLUES), dice.choice(dice.choice(SOURCES))]
            if dice.random() < 0.1:
                words += [dice.choice([" ; ", " && ", " | ", "|", ";", "\n"]), dice.choice(LIMITED)]
        command = "".join(words)
        endless = {"tail", "free", "yes", "sleep", "watch", "read", "top", "vmstat"} & set(words)
        if not endless and shell_effects(command, WORKSPACE) == {Effect.READ}:
            found.add(command)
    return sorted(found)


async def state(bench: Workbench) -> str:
    listing = "cd /workspace && find . -printf '%p %s %m %y %l\\n' | sort && cat a b && ls /tmp && date +%Y"
    result = await bench.sandbox.exec(["sh", "-c", listing], cwd="/")
    assert result.exit_code == 0, result.output.text()
    return result.output.text()


async def test_commands_that_claim_to_read_change_nothing(bench: Workbench) -> None:
    assert (await bench.sandbox.exec(["sh", "-ec", TRAPS])).exit_code == 0
    before = await state(bench)
    commands = candidates(1000)
    run_each = 'for command; do timeout 2 "$0" -c "$command" </dev/null >/dev/null 2>&1; done; true'
    for start in range(0, len(commands), 25):
        batch = commands[start : start + 25]
        ran = await bench.sandbox.exec([bench.sandbox.shell, "-c", run_each, bench.sandbox.shell, *batch])
        assert (ran.exit_code, ran.ending) == (0, "exited")
        assert await state(bench) == before, f"one of these changed something: {batch}"
