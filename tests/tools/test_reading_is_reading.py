"""A judge of shell_effects that shares nothing with it: what claims to read is run, and must change nothing."""

import random

import pytest

from sandboxes.protocol import WORKSPACE
from tools.protocol import Effect, Workbench
from tools.shell_commands import READ_ONLY
from tools.shell_effects import shell_effects

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]

# Files whose names are options, and a program that would tell of being run.
TRAPS = r"""
mkdir -p src; printf '#!/bin/sh\ntouch %s/ran\n' "$PWD" > trap; chmod 755 trap; cp trap src/ls
printf 'b\na\n' > a; printf 'c\n' > b; cp a src/x.py
touch -- -delete -exec -oout -i -C --set=x '1w out'
touch 'src/-delete' 'src/-oout'; ln -s a link; mkdir d
"""
WORDS = r"""
a b src src/* * ./* link - -- -n -o -oout -uo -i -v -V -p -c -exec -delete -fprint -name '*' out ./trap {} + ';'
--pre --pre=./trap -z --output=out --outp=out --compress-program=./trap -T. -f -r -s --set=x 1p '1,$p'
'a[$(./trap)]' -eq ] '$(./trap)' 'x;./trap' x=./trap = -C -d -1 -print ls command -a ! ? [a-b] src/?
-[a-z]* -e -E 2>&1 2>/dev/null >/dev/null 2>&1x >out >>out &>out >/dev/null2 <a <(./trap) >&out $(./trap) `./trap`
"$(./trap)" # \ & ; && || | ./trap (./trap) ''
"""
GLUES = [" ", " ", " ", " ", " ", " ", "", "\t"]


def candidates(count: int) -> list[str]:
    """Commands that claim to read only, out of many that look much like it; the same ones every time."""
    dice = random.Random(1)
    found: set[str] = set()
    more = [*WORDS.split(), "\n", "'1w out'", "'1e ./trap'"]
    while len(found) < count:
        words = [dice.choice(list(READ_ONLY))]
        for _ in range(dice.randint(0, 6)):
            words += [dice.choice(GLUES), dice.choice(more)]
            if dice.random() < 0.15:
                words += [dice.choice([" ; ", " && ", " | ", "|", ";", "\n"]), dice.choice(list(READ_ONLY))]
        command = "".join(words)
        follows = "tail" in words and "-f" in command
        if len(words) > 2 and not follows and shell_effects(command, WORKSPACE) == {Effect.READ}:
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
    for command in candidates(500):
        await bench.sandbox.exec([bench.sandbox.shell, "-c", command], timeout=2, max_output=1000)
        assert await state(bench) == before, f"changed something: {command!r}"
