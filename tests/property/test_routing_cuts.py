"""Cutting changes nothing: however a log is cut into slices, the rows are the same, bit for bit."""

from datetime import date, datetime
from operator import itemgetter
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from models.intake.clock import Clock
from models.routing.fold import RouteState
from models.routing.network import Network
from schemas.slices import Slice
from schemas.tables import SCHEMAS, Effects, Table, to_tables
from tests.support.builders import effects_of, journal, typed
from tests.support.worlds import Shape, world

LONG = Shape(records=700, forgetful=True, step=400.0)
CROWDED = Shape(records=300, networks=("eu", "us", "asia"), step=300.0)
SHORT = Shape(records=120)
WORLDS = [
    *[pytest.param(seed, SHORT, id=f"short-{seed}") for seed in range(12)],
    *[pytest.param(seed, LONG, id=f"long-{seed}") for seed in range(6)],
    *[pytest.param(seed, CROWDED, id=f"crowded-{seed}") for seed in range(6)],
]
Tables = dict[Table, pa.Table]


def tables_of(effects: list[Effects]) -> Tables:
    """All rows of every table in (position, index) order."""
    held: dict[Table, list[pa.Table]] = {}
    for effect in effects:
        for table, rows in effect.tables.items():
            held.setdefault(table, []).append(typed(table, rows))
    order = [("position", "ascending"), ("index", "ascending")]
    return {t: pa.concat_tables(chunks).sort_by(order) for t, chunks in sorted(held.items())}


def difference(left: Tables, right: Tables) -> str:
    """The first place where two runs differ; empty if they do not."""
    for table in sorted({*left, *right}):
        if table not in left or table not in right:
            return f"{table}: in one run only"
        mine, other = left[table].to_pylist(), right[table].to_pylist()
        for x, y in zip(mine, other, strict=False):
            if x != y:
                parts = {c: (x[c], y[c]) for c in x if x[c] != y[c]}
                return f"{table} at ({x['position']}, {x['index']}): {parts}"
        if len(mine) != len(other):
            return f"{table}: {len(mine)} rows and {len(other)} rows"
    return ""


def every(size: int, length: int) -> list[int]:
    return list(range(size, length, size))


def at_random(random: Random, length: int) -> list[int]:
    return sorted(random.sample(range(1, length), random.randint(1, length // 3)))


def restored(state: RouteState) -> RouteState:
    """The state after it was kept in a checkpoint."""
    networks = {}
    for key, network in state.networks.items():
        arrays, values = network.to_arrays()
        networks[key] = Network.from_arrays(arrays, values)
    clock = Clock(state.clock.time, dict(state.clock.said), set(state.clock.retired))
    return RouteState(state.partition, state.policy_override, state.position, networks, clock)


def run_with_checkpoints(piece: Slice, borders: list[int]) -> list[Effects]:
    """Advance cut at the borders, through a checkpoint at each of them."""
    state, effects = RouteState(piece.partition), []
    for a, b in zip([0, *borders], [*borders, len(piece)], strict=True):
        effects += effects_of(piece.cut(a, b), state=state)
        state = restored(state)
    return effects


@pytest.mark.parametrize(("seed", "shape"), WORLDS)
def test_cutting_changes_nothing(seed: int, shape: Shape) -> None:
    piece = journal(*world(seed, shape))
    random = Random(seed)
    whole = tables_of(effects_of(piece))

    for borders in (
        every(1, len(piece)),
        every(2, len(piece)),
        every(7, len(piece)),
        every(256, len(piece)),
        at_random(random, len(piece)),
    ):
        effects = effects_of(piece, borders)
        together = {t: typed(t, rows) for t, rows in to_tables(effects).items()}
        where = f"seed {seed}, {shape}, cut at {borders[:9]}..."

        assert difference(whole, tables_of(effects)) == "", where
        assert difference(whole, together) == "", f"as the lake has them: {where}"


@pytest.mark.parametrize(("seed", "shape"), WORLDS[::4])
def test_plain_values_are_those_of_the_columns(seed: int, shape: Shape) -> None:
    piece = journal(*world(seed, shape))

    for effect in effects_of(piece, every(64, len(piece))):
        for table in (Table.DECISIONS, Table.ALLOCATIONS, Table.EXCEPTIONS):
            names = SCHEMAS[table].names
            columns = effect.tables.get(table)
            rows = columns.to_pylist() if columns is not None else []
            cause = itemgetter(names.index("position"), names.index("index"))
            plain = sorted(effect.plain(table, names), key=cause)
            assert [dict(zip(names, row, strict=True)) for row in plain] == [
                {name: in_json(value) for name, value in row.items()} for row in rows
            ]


def in_json(value: object) -> object:
    """A value as public records have it."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.isoformat() if isinstance(value, date) else value


@pytest.mark.parametrize(("seed", "shape"), WORLDS)
def test_a_checkpoint_changes_nothing(seed: int, shape: Shape) -> None:
    piece = journal(*world(seed, shape))
    borders = at_random(Random(seed), len(piece))[::5]
    whole = tables_of(effects_of(piece))

    resumed = tables_of(run_with_checkpoints(piece, borders))

    assert difference(whole, resumed) == "", f"seed {seed}, {shape}, saved at {borders}"


@pytest.mark.parametrize(("seed", "shape"), WORLDS)
def test_no_two_effects_share_their_place_in_the_log(seed: int, shape: Shape) -> None:
    rows = tables_of(effects_of(journal(*world(seed, shape))))

    places: list[tuple[Any, Any]] = []
    for table in rows.values():
        places += zip(table["position"].to_pylist(), table["index"].to_pylist(), strict=True)

    assert len(places) == len(set(places)), f"seed {seed}, {shape}"
