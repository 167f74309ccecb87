"""Scenarios: a simulated world as a log, that log through the ordinary flow, and what came of it.

A scenario is a maker in ``models.simulation.scenarios`` and a folder of its name, which holds its policy
and ``expected.toml``: size and seed, and for each figure the band that it has to lie in and why. A figure is
a column of ``order_kpis``, the fairness index, a finding of the audit, or a query of the scenario's own.
"""

import tomllib
import uuid
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import duckdb
import msgspec
from msgspec import Meta

from flows.folding import run_through
from flows.lake.query import connect_reader
from flows.logs.parquet import ParquetLog, write_log
from flows.plan_audit import DOUBLED, OVERSOLD, UNCONSERVED, Audit, audit
from flows.route import RouteJob
from models.inference import ARTIFACTS, load_model, shipped_model_sha256
from models.simulation.scenarios.catalogue import MAKERS
from models.simulation.scene import Setting
from models.simulation.world import unfold
from schemas.errors import InputError

FOLDER = Path(__file__).parents[1] / "examples" / "scenarios"
"""Of the scenarios' folders, in a checkout."""

SMALLEST, LARGEST = 10, 10_000_000


class Band(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a figure has to be, and why; ``sql`` gives a figure that is not among the usual ones."""

    why: str
    min: float | None = None
    max: float | None = None
    sql: str = ""


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file ``expected.toml``."""

    title: str
    size: Annotated[int, Meta(ge=SMALLEST, le=LARGEST)]
    kpi: dict[str, Band]
    seed: Annotated[int, Meta(ge=0)] = 1
    stock_error: Annotated[float, Meta(ge=0, le=1)] = 0.0


@dataclass(frozen=True)
class Scenario:
    """A maker's folder."""

    name: str
    expected: Expected
    policy: str


@dataclass(frozen=True)
class Figure:
    """One KPI and its band."""

    name: str
    value: float | None
    least: float | None = None
    most: float | None = None
    why: str = ""

    @property
    def has_band(self) -> bool:
        """Whether anything is expected of it."""
        return self.least is not None or self.most is not None

    @property
    def is_ok(self) -> bool:
        """Whether it lies in its band; one without a band always does."""
        if not self.has_band:
            return True
        if self.value is None:
            return False
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most)


@dataclass(frozen=True)
class Report:
    """What came of a run."""

    scenario: str
    seed: int
    size: int
    stock_error: float
    records: int
    figures: list[Figure]
    broken: dict[str, str] = field(default_factory=dict)  # an example of each broken rule

    @property
    def is_ok(self) -> bool:
        """Whether every figure lies in its band."""
        return all(figure.is_ok for figure in self.figures)


def scenario_names() -> list[str]:
    """All scenarios."""
    return list(MAKERS)


def read_scenario(name: str, folder: Path = FOLDER) -> Scenario:
    """A scenario by name.

    Raises:
        InputError: there is none of that name, or its folder cannot be read.
    """
    if name not in MAKERS:
        raise InputError(f"there is no scenario {name!r}; there are {', '.join(MAKERS)}")
    place = folder / name / "expected.toml"
    try:
        tree = tomllib.loads(place.read_text(encoding="utf-8"))
        expected = msgspec.convert(tree, Expected)
        policy = (folder / name / "policy.yaml").read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{error.filename}: {error.strerror}; scenarios need a checkout"
        ) from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise InputError(f"{place}: {error}") from error
    return Scenario(name, expected, policy)


def setting_of(
    scenario: Scenario, seed: int | None, size: int | None, stock_error: float | None
) -> Setting:
    """The setting of a run: what is not given is as the scenario says."""
    expected = scenario.expected
    return Setting(
        seed=expected.seed if seed is None else seed,
        size=expected.size if size is None else size,
        policy=scenario.policy,
        model_sha256=shipped_model_sha256(),
        stock_error=expected.stock_error if stock_error is None else stock_error,
    )


def generate(scenario: Scenario, setting: Setting, out: Path) -> tuple[ParquetLog, float]:
    """Write the world's log; the same setting gives the same bytes.

    Returns:
        The log, and the share of the stock cells in which the count was wrong, which no log says.
    """
    scorer_of = cache(lambda sha256: load_model([ARTIFACTS], sha256))
    about = f"{scenario.name}/{setting.seed}/{setting.size}/{setting.stock_error}"
    log_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"crossdock.scenarios/{about}"))
    world = MAKERS[scenario.name](setting)
    log = write_log(out, unfold(world, scorer_of), log_id=log_id)
    return log, world.crew.wrong_cells / max(1, world.crew.cells)


def route(log: ParquetLog, lake: Path) -> None:
    """The log through the ordinary flow into a new lake.

    Raises:
        InputError: there is something at the lake's place.
    """
    if lake.exists() and (not lake.is_dir() or any(lake.iterdir())):
        raise InputError(f"{lake} exists and is not empty; choose another place for the new lake")
    run_through(RouteJob, log, lake)


def measure(
    scenario: Scenario, setting: Setting, log: ParquetLog, miscounted: float, lake: Path
) -> Report:
    """Every figure of a run, those with a band first."""
    audited = audit(log, lake)
    with connect_reader(lake) as connection:
        values = _usual(connection, audited) | {"miscounted_cells": miscounted}
        for name, band in scenario.expected.kpi.items():
            if band.sql:
                values[name] = _one(connection, scenario.name, name, band.sql)
    unknown = sorted(set(scenario.expected.kpi) - set(values))
    if unknown:
        raise InputError(f"{scenario.name}: expected.toml names {unknown[0]}, which is no figure")
    banded = [
        Figure(name, values[name], band.min, band.max, band.why)
        for name, band in scenario.expected.kpi.items()
    ]
    others = [
        Figure(name, value) for name, value in values.items() if name not in scenario.expected.kpi
    ]
    return Report(
        scenario=scenario.name,
        seed=setting.seed,
        size=setting.size,
        stock_error=setting.stock_error,
        records=len(log),
        figures=banded + others,
        broken=audited.examples,
    )


def _usual(connection: duckdb.DuckDBPyConnection, audited: Audit) -> dict[str, float | None]:
    """Figures that every scenario has."""
    result = connection.execute("SELECT * EXCLUDE (tenant, network) FROM order_kpis")
    names = [column[0] for column in result.description or ()]
    row = result.fetchone() or (None,) * len(names)
    values = {name: _number(value) for name, value in zip(names, row, strict=True)}
    fairness = connection.execute(
        "SELECT any_value(fairness_index) FROM channel_fairness"
    ).fetchone()
    peak = connection.execute(
        "SELECT coalesce(max(units), 0)"
        " FROM (SELECT sum(waiting_units) AS units FROM node_backlog GROUP BY day)"
    ).fetchone()
    return values | {
        "channel_fairness_index": _number(fairness[0] if fairness else None),
        "peak_backlog_units": _number(peak[0] if peak else None),
        "plans_audited": audited.plans,
        "feasibility": audited.feasibility,
        "oversold": audited.count(OVERSOLD),
        "orders_held_twice": audited.count(DOUBLED),
        "units_not_conserved": audited.count(*UNCONSERVED),
    }


def _one(connection: duckdb.DuckDBPyConnection, scenario: str, name: str, sql: str) -> float | None:
    try:
        row = connection.execute(sql).fetchone()
    except duckdb.Error as error:
        raise InputError(f"{scenario}: the query of {name} fails: {error}") from error
    return _number(row[0] if row else None)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
