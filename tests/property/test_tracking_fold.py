"""What must hold of the tracking fold whatever the log says, and however it is cut or shuffled."""

import json
import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

import models.tracking.fold as fold
from models.lifecycle.transitions import phase_name
from models.tracking.arrays import FACT_WORDS, NOBODY
from models.tracking.features import Input
from models.tracking.fold import advance
from models.tracking.state import TrackState
from schemas.codes import Classifier, ExceptionCode, Milestone
from schemas.envelope import Event
from schemas.shipments import ShipmentMilestone
from schemas.tables import Effects, Table, to_tables
from schemas.telemetry import DeviceBound, TelemetrySensor
from tests.support.devices import journey
from tests.support.journeys import (
    Cause,
    contents,
    disturbed,
    records,
    standing,
    with_policies,
    with_ticks,
)
from tests.support.tracks import Tracked, activated, moment, tick, track, tracking_log

SEEDS = range(20)
END = 24.0 * 12


def said(tracked: Tracked) -> dict[Table, list[dict[str, Any]]]:
    """Every row of every table."""
    return {table: rows.to_pylist() for table, rows in to_tables(tracked.effects).items()}


def final(tracked: Tracked) -> dict[str, tuple[str, frozenset[Cause]]]:
    """Phase and exceptions that hold, by order, as the state has them."""
    words, found = list(tracked.state.words), {}
    for key, row in zip(tracked.state.keys, tracked.state.orders, strict=False):
        causes, at = [], int(row["standing"])
        while at != NOBODY:
            entry = tracked.state.entries[at]
            about = max(int(entry["package"]), int(entry["node"]))
            causes.append((ExceptionCode(entry["reason"]).name, words[about] if about >= 0 else ""))
            at = int(entry["next"])
        assert len(causes) == len(set(causes))
        raised = {code.name for code in ExceptionCode if int(row["raised"]) >> code & 1}
        assert raised == {code for code, _ in causes}
        found[key.split("/")[2]] = phase_name(int(row["phase"])), frozenset(causes)
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
    assert whole.rows(Table.OUTBOX)
    assert whole.rows(Table.ACTIONS)

    chance = random.Random(seed)
    cuts = sorted(chance.sample(range(1, len(events)), 12))

    assert said(track(events, cuts)) == said(whole)
    assert said(track(events, range(1, len(events)))) == said(whole)


class Restless:
    """A model whose answers go up and down by what it is asked, and by nothing else."""

    def score(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Up to three times what the lane says."""
        wild = np.abs(np.sin(1e4 * features.astype(np.float64).sum(axis=1)))
        median = features[:, Input.REMAINING_P50] * 3 * wild
        return np.stack([median, 2 * median], axis=1).astype(np.float32)


@pytest.mark.parametrize("seed", SEEDS)
def test_cutting_changes_nothing_about_arrivals(seed: int) -> None:
    events = with_ticks(disturbed(records(seed), seed), range(0, 260, 10))
    events.insert(len(events) // 3, activated("a" * 64))
    model = Restless()
    whole = track(events, scorer_of=lambda _sha256: model)
    assert len(whole.rows(Table.ESTIMATES)) > 20

    for cuts in (range(1, len(events), 5), range(1, len(events))):
        assert said(track(events, cuts, scorer_of=lambda _sha256: model)) == said(whole)


def predictions(tracked: Tracked) -> list[dict[str, Any]]:
    """Rows of delays that were predicted, or are not any more."""
    return [row for row in tracked.rows(Table.EXCEPTIONS) if row["code"] == "DELAY_PREDICTED"]


@pytest.mark.parametrize("seed", range(5))
def test_every_effect_has_a_number_of_its_own_and_they_are_in_order(seed: int) -> None:
    events = with_ticks(disturbed(records(seed), seed), range(0, 260, 20))

    places = [
        (row["position"], row["index"]) for rows in said(track(events)).values() for row in rows
    ]
    assert len(places) == len(set(places))
    for rows in said(track(events)).values():
        mine = [(row["position"], row["index"]) for row in rows]
        assert mine == sorted(mine)


def test_no_prediction_is_left_of_an_order_that_waits_for_nothing() -> None:
    raised = 0
    for seed in SEEDS:
        events = [activated("a" * 64), *disturbed(records(seed), seed), tick(END)]
        tracked = track(events, scorer_of=lambda _sha256: Restless())

        newest = {row["order_id"]: row["change"] for row in predictions(tracked)}
        raised += len(newest)
        for order, (phase, causes) in final(tracked).items():
            is_over = phase in ("DELIVERED", "SIGNED", "CLOSED", "CANCELLED")
            if is_over or ("DELAY_BREACHED", "") in causes:
                assert newest.get(order, "resolved") == "resolved", order
    assert raised > 20


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


def known(tracked: Tracked) -> dict[str, tuple[Any, ...]]:
    """What the state holds of the orders themselves; nothing of those of which it knows nothing."""
    words, found = list(tracked.state.words), {}
    for key, row in zip(tracked.state.keys, tracked.state.orders, strict=False):
        if row["revision"]:
            named = (words[row[name]] if row[name] >= 0 else None for name in FACT_WORDS)
            found[key.split("/")[2]] = int(row["revision"]), int(row["value"]), *named
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_what_an_order_is_the_highest_revision_says_whatever_comes_first(seed: int) -> None:
    events = records(seed)

    for other in range(3):
        assert known(track(disturbed(events, 100 * seed + other))) == contents(events)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_exception_is_raised_once_until_it_is_resolved(seed: int) -> None:
    events = with_ticks(disturbed(records(seed), seed), range(0, 260, 20))

    held: dict[tuple[str, ...], str] = {}
    for row in track(events).rows(Table.EXCEPTIONS):
        cause = row["order_id"], row["code"], row["package"], row["node"]
        before = held.get(cause, "resolved")
        assert (row["change"] == "raised") == (before == "resolved"), row
        assert row["change"] != "escalated" or before == "raised", row
        held[cause] = row["change"]


_ONCE = ("CONFIRMED", "CANCELLED", "INSTALLATION_DUE", "ACCEPTANCE_DUE", "FEEDBACK_REQUESTED")


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_told_or_done_twice_for_one_cause(seed: int) -> None:
    events = with_ticks(disturbed(records(seed), seed), range(0, 260, 20))

    tracked = track(events)

    once: Counter[tuple[str, ...]] = Counter()
    parcels: dict[tuple[str, str], str] = {}
    for row in tracked.rows(Table.OUTBOX):
        names = ("phase", "happened_at", "node")
        phase, at, node = (json.loads(row["details"]).get(name) for name in names)
        if row["template"] in _ONCE:
            once[row["order_id"], row["template"]] += 1
        elif phase is not None:
            parcel = row["order_id"], row["package"] or node
            once[*parcel, phase, at] += 1
            assert at >= parcels.get(parcel, ""), "what is told of a parcel goes back in time"
            parcels[parcel] = at
    once.update(
        (row["order_id"], row["code"])
        for row in tracked.rows(Table.ACTIONS)
        if row["action"] == "COMPENSATE"
    )
    assert set(once.values()) == {1}
    rows = [row for table in to_tables(tracked.effects).values() for row in table.to_pylist()]
    causes = Counter((row["position"], row["index"]) for row in rows)
    assert set(causes.values()) == {1}


@pytest.mark.parametrize("seed", SEEDS)
def test_repeats_tell_and_do_nothing(seed: int) -> None:
    events = with_ticks(records(seed), range(0, 260, 20))
    repeated = [event for event in events for _ in range(2)]

    assert answers(track(repeated)) == answers(track(events))


def answers(tracked: Tracked) -> list[dict[str, Any]]:
    """What is told and done, without where on the log its causes are."""
    rows = [*tracked.rows(Table.OUTBOX), *tracked.rows(Table.ACTIONS)]
    places = ("position", "index", "record_id")
    return [{n: value for n, value in row.items() if n not in places} for row in rows]


@pytest.mark.parametrize("seed", range(5))
def test_a_kept_state_goes_on_as_if_nothing_had_been(seed: int) -> None:
    check_kept(with_ticks(disturbed(records(seed), seed), range(0, 260, 20)))


def check_kept(events: list[Event]) -> None:
    """Half of it, a checkpoint, and the rest are the whole."""
    piece = tracking_log(events)
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


# Devices -------------------------------------------------------------------------------------------


def shown(tracked: Tracked) -> dict[tuple[str, str], set[tuple[Any, ...]]]:
    """Arrivals and departures that positions showed and that still hold, by order and step."""
    found: dict[tuple[str, str], set[tuple[Any, ...]]] = {}
    for row in tracked.rows(Table.TIMELINE):
        if row["source"] == "crossdock/geofence":
            mine = found.setdefault((row["order_id"], row["step"]), set())
            one = (row["package"], row["latitude"], row["longitude"], row["at"])
            (mine.add if row["classifier"] == "ACT" else mine.remove)(one)
    return found


def measured(tracked: Tracked) -> set[tuple[Any, ...]]:
    """Every reading and every position, with what was made of it."""
    readings = [
        (row["order_id"], row["device"], row["at"], row["value"], row["state"])
        for row in tracked.rows(Table.READINGS)
    ]
    positions = [
        (row["order_id"], row["device"], row["at"], row["progress"], row["off_route_km"])
        for row in tracked.rows(Table.LOCATIONS)
    ]
    assert len(readings) + len(positions) == len({*readings, *positions})
    return {*readings, *positions}


@pytest.mark.parametrize("seed", SEEDS)
def test_cutting_changes_nothing_about_devices(seed: int) -> None:
    known, happened = journey(seed)
    events = [*known, *with_ticks(disturbed(happened, seed), range(12))]
    whole = track(events)

    cuts = sorted(random.Random(seed).sample(range(1, len(events)), 12))

    assert said(track(events, cuts)) == said(whole)
    assert said(track(events, range(1, len(events), 7))) == said(whole)


@pytest.mark.parametrize("seed", SEEDS)
def test_shuffled_repeated_and_late_telemetry_comes_to_the_same(seed: int) -> None:
    known, happened = journey(seed)
    in_order = track([*known, *with_ticks(happened, range(10)), tick(12)])
    assert any(shown(in_order).values())

    for other in range(3):
        mixed = with_ticks(disturbed(happened, 100 * seed + other), range(0, 10, 3))
        shuffled = track([*known, *mixed, tick(12)])
        assert final(shuffled) == final(in_order)
        assert shown(shuffled) == shown(in_order)
        assert measured(shuffled) == measured(in_order)


def excursion(events: list[Event], order: str) -> set[str]:
    """The naive reference: bad readings of a logger, sorted, cut where they are far apart."""
    mine = {event.id: event for event in events if event.subject == order}.values()
    ends = [e.time for e in mine if isinstance(e, DeviceBound) and e.data.released]
    ends += [e.time for e in mine if _is_delivery(e)]
    reports = [(e.time, r) for e in mine if isinstance(e, TelemetrySensor) for r in e.data.reports]
    good = [(at, r.value or 0.0) for at, r in reports if r.exception is None]
    codes: set[str] = set()
    for cold in (True, False):
        stretches: list[list[tuple[datetime, float]]] = []
        bad = [(at, value) for at, value in good if (value < 2 if cold else value > 8)]
        for at, value in sorted(bad):
            if not stretches or at - stretches[-1][-1][0] > timedelta(minutes=15):
                stretches.append([])
            stretches[-1].append((at, value))
        for stretch in stretches:
            lasted = min(stretch[-1][0], min(ends)) - stretch[0][0]
            is_beyond = any(v < -0.5 or v > 15 for at, v in stretch if at < min(ends))
            if is_beyond or lasted >= timedelta(hours=2):
                codes.add("TEMP_EXCURSION_MAJOR")
            elif lasted >= timedelta(minutes=30):
                codes.add("TEMP_EXCURSION_MINOR")
    return codes if "TEMP_EXCURSION_MAJOR" not in codes else {"TEMP_EXCURSION_MAJOR"}


def _is_delivery(event: Event) -> bool:
    return isinstance(event, ShipmentMilestone) and (
        event.data.milestone is Milestone.DELIVERED and event.data.classifier is Classifier.ACTUAL
    )


def test_excursions_are_those_of_the_reference() -> None:
    seen: set[str] = set()
    for seed in SEEDS:
        known, happened = journey(seed)
        found = final(track([*known, *disturbed(happened, seed), tick(9)]))
        for order, (_, causes) in found.items():
            codes = {code for code, _ in causes}
            expected = excursion([*known, *happened], order)
            assert {code for code in codes if code.startswith("TEMP")} == expected
            seen |= codes
    assert {"TEMP_EXCURSION_MINOR", "TEMP_EXCURSION_MAJOR", "GPS_STALE"} <= seen


@pytest.mark.parametrize("seed", range(5))
def test_a_kept_state_goes_on_with_its_devices(seed: int) -> None:
    known, happened = journey(seed)
    check_kept([*known, *with_ticks(disturbed(happened, seed), range(12))])


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
    assert known(forgetful) == {n: said for n, said in known(kept).items() if n in still}
    for other in (1, 7):
        cuts = range(other, len(events), other)
        assert said(track(events, cuts)) == said(forgetful)
