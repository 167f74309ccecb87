"""What must hold of the tracking fold whatever the log says, and however it is cut or shuffled."""

import random
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

import models.tracking.fold as fold
from models.lifecycle.transitions import phase_name
from models.tracking.fold import advance
from models.tracking.state import TrackState
from schemas.codes import ExceptionCode
from schemas.envelope import Event
from schemas.tables import Effects, Table, to_tables
from tests.support.journeys import disturbed, records, standing, with_policies, with_ticks
from tests.support.tracks import Tracked, moment, tick, track, tracking_log

SEEDS = range(20)
END = 24.0 * 12


def said(tracked: Tracked) -> dict[Table, list[dict[str, Any]]]:
    """Every row of every table."""
    return {table: rows.to_pylist() for table, rows in to_tables(tracked.effects).items()}


def final(tracked: Tracked) -> dict[str, tuple[str, frozenset[str]]]:
    """Phase and exceptions that hold, by order, as the state has them."""
    found = {}
    for key, row in zip(tracked.state.keys, tracked.state.orders, strict=False):
        raised = int(row["raised"])
        codes = frozenset(c.name for c in ExceptionCode if raised >> c & 1)
        found[key.split("/")[2]] = phase_name(int(row["phase"])), codes
    return found


def learnt(tracked: Tracked) -> set[tuple[str, str]]:
    """What the timeline holds, but for what time alone has done."""
    rows = [row for row in tracked.rows(Table.TIMELINE) if row["event_id"] is not None]
    assert len(rows) == len({(row["source"], row["event_id"]) for row in rows})
    return {(row["source"], row["event_id"]) for row in rows}


@pytest.mark.parametrize("seed", SEEDS)
def test_cutting_changes_nothing(seed: int) -> None:
    mixed = with_policies(disturbed(records(seed), seed), seed)
    events = with_ticks(mixed, range(0, 260, 20))
    whole = track(events)
    assert len(whole.rows(Table.DEAD_LETTERS)) == 1

    chance = random.Random(seed)
    cuts = sorted(chance.sample(range(1, len(events)), 12))

    assert said(track(events, cuts)) == said(whole)
    assert said(track(events, range(1, len(events)))) == said(whole)


@pytest.mark.parametrize("seed", SEEDS)
def test_shuffled_repeated_and_late_records_come_to_the_same(seed: int) -> None:
    events = records(seed)
    in_order = track([*with_ticks(events, range(0, 200, 10)), tick(END)])

    for other in range(3):
        mixed = with_ticks(disturbed(events, 100 * seed + other), range(0, 200, 50))
        shuffled = track([*mixed, tick(END)])
        assert final(shuffled) == final(in_order)
        assert learnt(shuffled) == learnt(in_order)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("hours", [0.0, 60.0, END, 24.0 * 60])
def test_every_order_stands_where_the_reference_says(seed: int, hours: float) -> None:
    events = disturbed(records(seed), seed)

    tracked = track([*events, tick(hours)])

    expected = standing(events, moment(hours))
    found = final(tracked)
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_an_exception_is_raised_once_until_it_is_resolved(seed: int) -> None:
    events = with_ticks(disturbed(records(seed), seed), range(0, 260, 20))

    held: dict[tuple[str, str], str] = {}
    for row in track(events).rows(Table.EXCEPTIONS):
        cause = row["order_id"], row["code"]
        before = held.get(cause, "resolved")
        assert (row["change"] == "raised") == (before == "resolved"), row
        assert row["change"] != "escalated" or before == "raised", row
        held[cause] = row["change"]


@pytest.mark.parametrize("seed", range(5))
def test_a_kept_state_goes_on_as_if_nothing_had_been(seed: int) -> None:
    piece = tracking_log(with_ticks(disturbed(records(seed), seed), range(0, 260, 20)))
    whole, first = TrackState(0), TrackState(0)
    everything = [advance(whole, piece)]
    half = len(piece) // 2
    begun = advance(first, piece.cut(0, half))

    arrays, values = first.to_arrays()
    second = TrackState(0, position=first.position)
    second.clock = first.clock
    second.restore({name: np.array(kept) for name, kept in arrays.items()}, values)
    rest = advance(second, piece.cut(half, len(piece)))

    assert rows([begun, rest]) == rows(everything)


def _later(event: Event, time: timedelta) -> Event:
    subject, at = f"later-{event.subject}", event.time + time
    return msgspec.structs.replace(event, subject=subject, time=at)


def rows(effects: list[Effects]) -> dict[Table, list[dict[str, Any]]]:
    return {table: found.to_pylist() for table, found in to_tables(effects).items()}


@pytest.mark.parametrize("seed", [0, 1, 3, 4])  # worlds of which a quarter is over by then
def test_forgetting_what_is_closed_changes_nothing_about_the_others(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = [*records(seed), tick(24 * 420)]
    events += [_later(event, timedelta(days=418)) for event in records(seed + 50)]
    events.append(tick(24 * 424))
    kept = track(events)
    monkeypatch.setattr(fold, "FORGET_EVERY", 16)

    forgetful = track(events)

    assert len(forgetful.state.keys) < len(kept.state.keys)
    still = final(forgetful)
    assert still == {name: held for name, held in final(kept).items() if name in still}
    for other in (1, 7):
        cuts = range(other, len(events), other)
        assert said(track(events, cuts)) == said(forgetful)
