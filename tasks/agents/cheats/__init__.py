"""Agents that do not solve a task but try to be graded as if they had: shell scripts, each a way of its own.

Every suite can be run with them (`--agent cheat:NAME`, `--agent cheats`). None may pass, and each raises a flag.
"""

from __future__ import annotations

from importlib import resources

from agent.outcomes import UsageProblem


def cheats() -> dict[str, str]:
    """The scripts of all cheats by name, each with what they share in front."""
    texts = {
        path.name.removesuffix(".sh"): path.read_text(encoding="utf-8")
        for path in sorted(resources.files(__name__).iterdir(), key=lambda path: path.name)
        if path.name.endswith(".sh")
    }
    prelude = texts.pop("_prelude")
    return {name: prelude + text for name, text in texts.items()}


def cheat(name: str) -> str:
    """One cheat's script. Raises UsageProblem."""
    known = cheats()
    if name not in known:
        raise UsageProblem(f"there is no cheat {name!r}: give one of {', '.join(known)}")
    return known[name]
