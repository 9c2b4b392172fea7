"""What of a journal still counts: a session that was rewound goes on as if what came after had never been.

Nothing is removed from the journal. Everything that follows from what happened (the conversation, the budgets,
where a resumed session begins) is computed from the events that stand; what is a fact about the world (which
sandboxes there were, which branch was delivered, which level was chosen) from all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.journal import AnyEvent, CheckpointMade, ModelReplied, SandboxOpened, SessionRewound, UserMessage

END = "end"
"""What the last checkpoint of a run is made before: it is what a resumed session goes on from."""


def standing(events: Iterable[AnyEvent]) -> list[AnyEvent]:
    """The events that count: up to the checkpoint of each rewinding, whatever had been undone by then."""
    events = list(events)
    if not any(isinstance(event, SessionRewound) for event in events):
        return events
    now: list[AnyEvent] = []
    then: dict[int, list[AnyEvent]] = {}
    for event in events:
        if isinstance(event, SessionRewound):
            now = [*then.get(event.to, now)]
        now.append(event)
        if isinstance(event, CheckpointMade):
            then[event.number] = [*now]
    return now


def starting_point(events: Iterable[AnyEvent]) -> CheckpointMade | str | None:
    """What a resumed session begins with: a checkpoint, the work of the run with this id, or nothing.

    A run that ended in good order made a checkpoint of its end; one that died did not.
    """
    found: CheckpointMade | str | None = None
    made: dict[int, CheckpointMade] = {}
    for event in events:
        if isinstance(event, SandboxOpened):
            found = event.run_id
        elif isinstance(event, CheckpointMade):
            made[event.number] = event
            if event.before == END:
                found = event
        elif isinstance(event, SessionRewound):
            found = made.get(event.to, found)
    return found


def next_number(events: Iterable[AnyEvent]) -> int:
    """The number of the session's next checkpoint; none is used twice."""
    return 1 + max((event.number for event in events if isinstance(event, CheckpointMade)), default=0)


def just_rewound(events: Sequence[AnyEvent]) -> bool:
    """Whether nothing has been said since the session was rewound."""
    said = (event for event in reversed(events) if isinstance(event, SessionRewound | ModelReplied | UserMessage))
    return isinstance(next(said, None), SessionRewound)
