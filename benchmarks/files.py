"""How long it takes to write, read and edit a file of 10 kB. An edit reads it, and writes it if it is still so.

Then the same, and more, by the tools that the model has, in a repository of fifty files of 10 kB.
"""

from __future__ import annotations

from benchmarks.figures import Figure
from benchmarks.harness import Bench

ROUNDS = 30
TOOLS = {
    "the read tool": "tool_read",
    "the read tool, a folder": "tool_list",
    "the write tool": "tool_write",
    "the edit tool": "tool_edit",
    "the search tool, lines": "tool_search",
    "the search tool, names": "tool_names",
}


def measure(bench: Bench) -> list[Figure]:
    """Times of each."""
    with bench.opened():
        actions = {"write 10 kB": "write", "read 10 kB": "read", "edit 10 kB": "edit"}
        figures = bench.interleaved("files", ROUNDS, actions)
    with bench.opened() as contenders:
        for contender in contenders:
            if contender.can("fill"):
                contender.do("fill")
        return figures + bench.interleaved("files", ROUNDS, TOOLS)
