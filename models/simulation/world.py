"""A world that answers: its script and what its nodes say to the router's own decisions, as one log.

``unfold`` takes log time step by step. In each step the records of the script and the answers that are
due go to the production fold, ``models.routing.fold.advance``; the crew hears what came of them and
says later what its nodes do about it. The records it yields are a whole log, clock ticks included:
replaying them gives the same decisions, since the fold is the same and cutting changes nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain

from models.routing.fold import RouteState, advance
from models.routing.scoring import ScorerOf
from models.simulation.crew import Crew
from schemas.codec import to_slice
from schemas.control import ClockTicked, Tick
from schemas.envelope import Event

SLICE_RECORDS = 4096
"""Most records given to the fold at once; it changes nothing but the memory used."""

SOURCE = "simulation"


@dataclass(frozen=True)
class World:
    """What happens, and who answers.

    Attributes:
        tenant: of every record.
        network: of every record.
        start: when the network is declared.
        ends_at: when the log ends; answers due later are not heard.
        step: log time between two hearings; a node answers no sooner than the next.
        opening: the network, its policy and its first stock.
        script: what happens regardless of decisions, by record time.
        crew: the nodes and the people.
    """

    tenant: str
    network: str
    start: datetime
    ends_at: datetime
    step: timedelta
    opening: list[Event]
    script: Iterable[Event]
    crew: Crew


def unfold(world: World, scorer_of: ScorerOf) -> Iterator[Event]:
    """The world's log, record by record.

    Args:
        world: a fresh one: its crew remembers what it heard.
        scorer_of: gives the model that the world activates.
    """
    state, position = RouteState(0), 0
    script = chain(world.opening, world.script)
    upcoming = next(script, None)
    until = world.start
    while until < world.ends_at:
        until += world.step
        due = []
        while upcoming is not None and recorded(upcoming) < until:
            due.append(upcoming)
            upcoming = next(script, None)
        due += world.crew.due(until)
        due.sort(key=recorded)
        due.append(_tick(world, until))
        for first in range(0, len(due), SLICE_RECORDS):
            piece = due[first : first + SLICE_RECORDS]
            effects = advance(state, to_slice(piece, 0, position), scorer_of)
            position += len(piece)
            world.crew.hear(piece, effects, until)
            yield from piece
    yield _tick(world, until, retired=True)


def recorded(event: Event) -> datetime:
    """When it was learnt."""
    return event.recordedtime or event.time


def _tick(world: World, at: datetime, *, retired: bool = False) -> ClockTicked:
    at = at.astimezone(UTC)
    suffix = "-retired" if retired else ""
    return ClockTicked(
        id=f"tick-{at:%Y%m%dT%H%M%SZ}{suffix}",
        source=SOURCE,
        subject=SOURCE,
        time=at,
        recordedtime=at,
        tenant=world.tenant,
        network=world.network,
        data=Tick(at=at, retired=retired),
    )
