"""Edits and writes while a process in the sandbox swaps what the path goes through for a link to elsewhere."""

import asyncio
import re
import time

import pytest

from tools.protocol import ToolResult, Workbench

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]

SECONDS = 2.5

SWAP = """
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
one, other = (os.fsencode(name) for name in sys.argv[1:3])
end = time.monotonic() + float(sys.argv[3])
done = 0
while time.monotonic() < end:
    done += libc.renameat2(-100, one, -100, other, 2) == 0  # exchanged: at every moment there is one of the two
print(done)
"""

PLACES = {
    "a folder for one outside": ("mkdir real; ln -s /home/agent/victim link", "real", "link", "real/{}"),
    "a folder above it": ("mkdir -p real/deep; ln -s /home/agent link", "real", "link", "real/victim/{}"),
    "a folder for git's": ("mkdir real; ln -s .git/hooks link", "real", "link", "real/{}"),
    "the file itself": ("mkdir real; ln -s /home/agent/victim/{} real/link", "real/{}", "real/link", "real/{}"),
}


async def run(bench: Workbench, command: str) -> str:
    result = await bench.sandbox.exec(["sh", "-ec", command])
    assert result.exit_code == 0, result.output.text()
    return result.output.text()


async def guarded(bench: Workbench) -> str:
    """All there is where nothing may be written, and when each of it was."""
    return await run(
        bench, "find /home/agent .git -printf '%p %T@ %i\\n' | sort; cat /home/agent/victim/* .git/hooks/*"
    )


@pytest.mark.parametrize("how", PLACES)
async def test_nothing_is_ever_written_elsewhere(call, bench: Workbench, how: str) -> None:
    make, one, other, path = (text.replace("{}", "f.py") for text in PLACES[how])
    same = "printf 'value = 1\\n' >"
    await run(bench, "rm -rf /home/agent/victim; mkdir -p /home/agent/victim .git/hooks")
    await run(bench, f"{same} /home/agent/victim/f.py; {same} .git/hooks/f.py; {make}")
    await run(bench, f"mkdir -p $(dirname {path}); {same} {path}")
    before = await guarded(bench)
    swapping = asyncio.ensure_future(bench.sandbox.exec(["python3", "-c", SWAP, one, other, str(SECONDS)]))
    results: list[ToolResult] = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        turn = len(results)
        results += [
            await call("edit", path=path, old="value = ", new="value = 1 + "),
            await call("write", path=path, content=f"value = {turn}\n"),
            await call("write", path=path.replace("f.py", f"new-{turn}.py"), content="planted\n"),
        ]
    assert int((await swapping).output.text()) > 100
    assert await guarded(bench) == before
    assert any(result.ok for result in results), "every call was refused: this shows nothing"
    refused = [result.text for result in results if not result.ok]
    assert any("name that path itself" in text for text in refused), "no call met a link: this shows nothing"
    await run(bench, "rm -rf /home/agent/victim")


async def test_what_came_in_between_is_told_with_a_way_on(call, bench: Workbench) -> None:
    make, one, other, path = (text.replace("{}", "f.py") for text in PLACES["a folder for one outside"])
    await run(bench, f"rm -rf /home/agent/victim; mkdir -p /home/agent/victim; {make}; printf '1\\n' > {path}")
    await run(bench, "printf '1\\n' > /home/agent/victim/f.py")
    swapping = asyncio.ensure_future(bench.sandbox.exec(["python3", "-c", SWAP, one, other, "20"], timeout=30))
    try:
        async with asyncio.timeout(20):
            while True:
                text = (await call("edit", path=path, old="1\n", new="1\n\n")).text
                if "since it was looked up" in text:
                    break
                await asyncio.sleep(0)
    finally:
        swapping.cancel()
        await asyncio.gather(swapping, return_exceptions=True)
    # "Not a directory": it was a link when it was opened and a folder again when it was looked at.
    told = r"real/f\.py: has changed since it was looked up \((goes through a symbolic link|Not a directory)\)"
    assert re.match(told, text)
    assert text.endswith("nothing was written: see what moves it, then repeat")
    assert await run(bench, "cat /home/agent/victim/f.py; rm -rf /home/agent/victim") == "1\n"
