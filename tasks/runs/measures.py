"""What an attempt took of time and of people, from its journal. A pure function of the events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from agent.asked import QuestionAnswered, QuestionAsked
from agent.autonomy.levels import Level, parse_level
from agent.journal import AnyEvent, GateDecided, PatchTaken, SessionStarted, UserMessage


class Interventions(BaseModel):
    """What people, or whoever stood for them, had to do with an attempt.

    `asked`: calls that somebody was asked about; `answered` of them; of those, `denied` ones and `edited` ones.
    `steered`: messages said to the agent meanwhile.
    """

    model_config = ConfigDict(frozen=True)

    asked: int = 0
    answered: int = 0
    denied: int = 0
    edited: int = 0
    steered: int = 0

    @property
    def total(self) -> int:
        """Times that somebody had to act."""
        return self.answered + self.steered


class Measures(BaseModel):
    """When an attempt began, how long the agent worked, at which level, and what people had to do with it.

    `started` is in seconds since the epoch, 0 where no journal says. `worked` is in seconds, without waiting for
    people and without the grader. `level` is None for agents that have no levels.
    """

    model_config = ConfigDict(frozen=True)

    started: float = 0.0
    worked: float = 0.0
    level: int | None = None
    interventions: Interventions = Interventions()


def added(each: Iterable[Interventions]) -> Interventions:
    """All of them together."""
    every = list(each)
    return Interventions(**{name: sum(getattr(one, name) for one in every) for name in Interventions.model_fields})


def measures(events: Sequence[AnyEvent]) -> Measures:
    """What the journal of an attempt says of it."""
    if not events:
        return Measures()
    taken = next((event for event in events if isinstance(event, PatchTaken)), events[-1])
    waited = sum(event.seconds for event in events if isinstance(event, GateDecided) and event.answers)
    start = events[0].time
    return Measures(
        started=start,
        worked=round(max(0.0, taken.time - start - waited), 3),
        level=_level(events),
        interventions=_interventions(events),
    )


def _level(events: Sequence[AnyEvent]) -> int | None:
    for event in events:
        if isinstance(event, SessionStarted) and (said := event.options.get("autonomy")) is not None:
            return int(parse_level(said) if isinstance(said, str) else Level(said))
    return None


def _interventions(events: Sequence[AnyEvent]) -> Interventions:
    questions = {event.id: event.call for event in events if isinstance(event, QuestionAsked)}
    replied = {questions.get(event.id, event.id) for event in events if isinstance(event, QuestionAnswered)}
    decided = [event for event in events if isinstance(event, GateDecided) and event.answers]
    answered = replied | {event.call for event in decided}
    return Interventions(
        asked=len(answered | set(questions.values())),
        answered=len(answered),
        denied=sum(event.verdict == "deny" for event in decided),
        edited=sum(event.edited_arguments is not None for event in decided),
        steered=sum(isinstance(event, UserMessage) and event.meanwhile for event in events),
    )
