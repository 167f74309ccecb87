"""Real pickups by couriers in five Chinese cities (LaDe) tracked: in time and in place as the columns say.

Licence: Apache-2.0. An extract is in this repository; all are read where ../shared/data is at hand.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.lake.query import connect_reader
from flows.logs.parquet import write_log
from flows.ticks import with_ticks
from schemas import orders, shipments, telemetry
from schemas.codes import Classifier, Milestone
from schemas.envelope import Event
from schemas.topics import LogOf
from tests.support.command_line import run
from tests.support.shared_data import DATA, extract_and_all

EXTRACT = Path(__file__).parent / "lade" / "pickups.parquet"
ALL = DATA / "lade_pickup_sample" / "pickups.parquet"
CHINA = timezone(timedelta(hours=8))
Counts = tuple[Path, int, int, list[int]]

FILES = extract_and_all(EXTRACT, ALL)
COUNTS = {EXTRACT: (482, 475, [251, 338]), ALL: (4_639, 4_552, [2_498, 3_398])}
"""Pickups, those in time, and positions sent at acceptance and pickup (46 % and 27 % had the app off)."""


@pytest.fixture(scope="module", params=FILES, ids=["extract", "all"])
def counts(request: pytest.FixtureRequest) -> Counts:
    return (request.param, *COUNTS[request.param])


@pytest.fixture(scope="module")
def found(counts: Counts) -> pl.DataFrame:
    return pl.read_parquet(counts[0])


@pytest.fixture(scope="module")
def lake(found: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lade")
    told = [event for row in found.iter_rows(named=True) for event in _of_pickup(row)]
    records = sorted(told, key=lambda event: event.time)
    write_log(path / "log", with_ticks(records, "lade", "cainiao", "china"), of=LogOf.TRACKING)
    done = run("replay", path / "log", "--lake", path / "lake")
    assert done.exit_code == 0, done.output
    return path / "lake"


def _of_pickup(row: dict[str, Any]) -> Iterator[Event]:
    """What is said of a parcel: a courier accepts it for a window, and fetches it."""
    line = orders.OrderLine(line_no=1, sku="parcel", qty=1)
    order = orders.Order(region=row["city"], lines=[line])
    yield _event(orders.OrderReceived, row, "accept_time", order)
    planned = shipments.ShipmentStep(
        milestone=Milestone.HANDED_OVER,
        classifier=Classifier.PLANNED,
        at=_instant(row["time_window_end"]),
    )
    yield _event(shipments.ShipmentMilestone, row, "accept_time", planned)
    fetched = shipments.ShipmentStep(milestone=Milestone.HANDED_OVER)
    yield _event(shipments.ShipmentMilestone, row, "pickup_time", fetched)
    for what in ("accept", "pickup"):
        if row[f"{what}_gps_time"] is not None:
            fix = telemetry.Position(
                device=f"courier-{row['courier_id']}",
                latitude=row[f"{what}_gps_lat"],
                longitude=row[f"{what}_gps_lng"],
            )
            yield _event(telemetry.TelemetryPosition, row, f"{what}_gps_time", fix)


def _event(cls: type[Event], row: dict[str, Any], column: str, data: Any) -> Event:
    kind = getattr(data, "classifier", "")
    return cls(  # type: ignore[call-arg]
        id=f"{cls.__name__}-{kind}-{column}-{row['order_id']}", source="lade",
        subject=str(row["order_id"]), time=_instant(row[column]), tenant="cainiao",
        network="china", data=data,
    )  # fmt: skip


def _instant(local: datetime) -> datetime:
    return local.replace(tzinfo=CHINA)


def counted(lake: Path, query: str) -> tuple[Any, ...]:
    with connect_reader(lake) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return tuple(row)


def test_pickups_are_in_time_by_the_end_of_their_window(
    counts: Counts, found: pl.DataFrame, lake: Path
) -> None:
    told = counted(
        lake,
        """
        SELECT count(*), count(*) FILTER (fetched <= planned) FROM (
            SELECT
                max("at") FILTER (classifier = 'ACT') AS fetched,
                max(planned_at) FILTER (classifier = 'PLN') AS planned
            FROM timeline WHERE step = 'HANDED_OVER' GROUP BY order_id
        )
        """,
    )

    in_time = found.filter(pl.col("pickup_time") <= pl.col("time_window_end")).height
    assert told == (found.height, in_time) == counts[1:3]
    assert 100 * in_time / found.height == pytest.approx(98.2, abs=0.5)  # its README


def test_every_parcel_is_with_its_courier_since_it_was_fetched(
    found: pl.DataFrame, lake: Path
) -> None:
    seconds = "sum(epoch(handed_over_at))::BIGINT"
    told = counted(lake, f"SELECT count(*), {seconds} FROM shipments WHERE phase = 'HANDED_OVER'")

    fetched = found["pickup_time"].dt.offset_by("-8h").dt.epoch("s").sum()
    assert told == (found.height, fetched)
    assert counted(lake, "SELECT count(*) FROM timeline WHERE is_late") == (0,)


def test_positions_are_those_that_the_couriers_sent(
    counts: Counts, found: pl.DataFrame, lake: Path
) -> None:
    sent = [found[f"{what}_gps_time"].count() for what in ("accept", "pickup")]

    told = counted(lake, "SELECT count(*), count(DISTINCT device) FROM locations")

    with_any = found.filter(pl.any_horizontal(pl.col("^.*_gps_time$").is_not_null()))
    assert told == (sum(sent), with_any["courier_id"].n_unique())
    assert sent == counts[3]
