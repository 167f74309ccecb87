"""Each scenario, small: within its bands, the same for the same seed, and nothing for an auditor to find."""

from functools import cache
from itertools import islice
from pathlib import Path

import pytest

from flows.logs.parquet import ParquetLog
from flows.public_records import public_records
from flows.scenarios import generate, measure, read_scenario, route, scenario_names, setting_of
from models.inference import ARTIFACTS, load_model
from models.routing.fold import RouteState, advance
from models.simulation.scenarios.catalogue import MAKERS
from models.simulation.world import unfold
from models.tracking.fold import advance as track
from models.tracking.state import TrackState
from schemas.codec import Refusal, decode_line, encode_event, to_slice
from schemas.envelope import Event
from schemas.ids import LogId
from schemas.tables import Table
from schemas.topics import LogOf, is_sent_to
from tests.property.auditor import audit
from tests.support.builders import Rows
from tests.support.views import rows_of

SMALL = {
    "dtc-car": 400,
    "last-unit": 3_000,
    "store-network": 400,
    "node-outage": 500,
    "double-11": 800,
    "cold-chain": 600,
    "stock-error": 1_000,
}
scorer_of = cache(lambda sha256: load_model([ARTIFACTS], sha256))


def records(name: str, seed: int, size: int) -> list[Event]:
    setting = setting_of(read_scenario(name), seed, size, None)
    return list(unfold(MAKERS[name](setting), scorer_of))


@cache
def recorded(name: str) -> list[Event]:
    return records(name, 3, 200)


def content(events: list[Event]) -> bytes:
    return b"\n".join(map(encode_event, events))


def test_every_scenario_is_tested() -> None:
    assert list(SMALL) == scenario_names()


@pytest.mark.parametrize("name", SMALL)
def test_a_small_run_keeps_within_the_bands(name: str, tmp_path: Path) -> None:
    scenario = read_scenario(name)
    setting = setting_of(scenario, 1, SMALL[name], None)
    log, miscounted = generate(scenario, setting, tmp_path / "log")
    route(log, tmp_path / "lake")

    report = measure(scenario, setting, ParquetLog(tmp_path / "log"), miscounted, tmp_path / "lake")

    assert not report.broken
    assert [figure for figure in report.figures if not figure.is_ok] == []


@pytest.mark.parametrize("name", SMALL)
def test_a_seed_makes_a_world_and_another_seed_another(name: str) -> None:
    assert content(records(name, 3, 200)) == content(recorded(name))
    other = setting_of(read_scenario(name), 4, 200, None)
    begun = list(islice(unfold(MAKERS[name](other), scorer_of), 300))
    assert content(begun) != content(recorded(name)[:300])


@pytest.mark.parametrize("name", SMALL)
def test_an_auditor_finds_nothing(name: str) -> None:
    events = recorded(name)

    effects = advance(RouteState(0), to_slice(events, 0, 0), scorer_of)

    audit(events, Rows([effects]))


@pytest.mark.parametrize("name", SMALL)
def test_the_works_that_are_tracked_hold_the_units_in_the_routers_books(name: str) -> None:
    events = recorded(name)
    routed = advance(RouteState(0), to_slice(events, 0, 0), scorer_of)
    decoded = [decode_line(r.value, 1) for r in public_records(routed, LogId("log"))]
    told = [event for event in decoded if not isinstance(event, Refusal)]
    told += [event for event in events if is_sent_to(event, LogOf.TRACKING)]

    tracked = track(TrackState(0), to_slice(told, 0, 0))

    works = rows_of("works", timeline=tracked.tables[Table.TIMELINE])
    units = ("total", "fulfilled", "cancelled")
    found = {(row["order_id"], row["node"]): [row[name] for name in units] for row in works}
    assert found == _books(Rows([routed]))


def _books(rows: Rows) -> dict[tuple[str, str], list[int]]:
    """Units placed, consumed and released, by order and node."""
    found: dict[tuple[str, str], list[int]] = {}
    for row in rows.allocations:
        if row["event"] in _MOVES:
            held = found.setdefault((row["order_id"], row["node"]), [0, 0, 0])
            held[_MOVES.index(row["event"])] += row["qty"]
    return found


_MOVES = ("placed", "consumed", "released")
