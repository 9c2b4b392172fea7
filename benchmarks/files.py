"""How long it takes to write, read and edit a file of 10 kB. An edit reads it, and writes it if it is still so."""

from __future__ import annotations

from benchmarks.figures import Figure
from benchmarks.harness import Bench

ROUNDS = 30


def measure(bench: Bench) -> list[Figure]:
    """Times of each."""
    with bench.opened():
        actions = {"write 10 kB": "write", "read 10 kB": "read", "edit 10 kB": "edit"}
        return bench.interleaved("files", ROUNDS, actions)
