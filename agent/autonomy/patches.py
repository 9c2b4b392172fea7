"""What rules on paths say to a finished patch: the one place where what a program wrote by itself is seen.

A rule counts here if it speaks of paths or effects and of no tool, argument, command or host, and of writing or
destroying where it speaks of effects. A pure function.

Threat model: the patch is the agent's, the paths are whatever names it gave to files.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from agent.autonomy.calls import Place
from agent.autonomy.commands.shapes import Certainty
from agent.autonomy.rules import Kind, Placed, Rule
from agent.autonomy.visible import visible
from sandboxes.protocol import WORKSPACE
from tools.protocol import Effect


class Touched(NamedTuple):
    """A changed path, and the rule that refuses it or asks."""

    kind: Kind
    sentence: str


def on_changes(paths: Iterable[tuple[str, bool]], rules: Iterable[Placed]) -> Iterator[Touched]:
    """The paths that a rule keeps, relative to the workspace, each with whether it is deleted; strictest rules
    first.
    """
    counting = [
        placed for kind in ("deny", "ask") for placed in rules if placed.kind == kind and _counts(placed.rule)
    ]
    for path, deleted in paths:
        place = Place(posixpath.join(WORKSPACE, path))
        effects = {Effect.WRITE, Effect.DESTROY} if deleted else {Effect.WRITE}
        for placed in counting:
            if placed.rule.effects and not effects & set(placed.rule.effects):
                continue
            if not placed.rule.paths or placed.rule.places.fits(place, destroys=False) is Certainty.YES:
                yield Touched(placed.kind, f"{visible(path)} ({placed.why})")
                break


def _counts(rule: Rule) -> bool:
    return not (rule.tool or rule.arguments or rule.commands or rule.hosts or rule.directory)
