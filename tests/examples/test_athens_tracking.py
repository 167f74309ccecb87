"""Real trucks around Athens tracked as shipments: arrivals and gaps can be worked out from their positions.

Licence: free for research, no more is said; so no extract is in this repository.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.lake.query import connect_reader
from flows.logs.parquet import write_log
from flows.ticks import with_ticks
from schemas import control, shipments, telemetry
from schemas.codes import Classifier, Milestone
from schemas.envelope import Event
from schemas.topics import LogOf
from tests.support.command_line import run

FILE = Path(__file__).parents[3] / "shared" / "data" / "athens_vehicle_gps" / "points.parquet"
DAY = datetime(2002, 1, 1, tzinfo=UTC)
SECOND = f"epoch(happened_at) - {DAY.timestamp():.0f}"
RADIUS_M = 300.0
STALE = 750  # seconds: ten minutes, and a quarter more
POLICY = "version: athens\nroad:\n  stale_minutes: 10\n  stay_minutes: 525600\n"

pytestmark = pytest.mark.skipif(
    not FILE.exists(), reason="../shared/data/athens_vehicle_gps is not at hand"
)


@pytest.fixture(scope="module")
def found() -> pl.DataFrame:
    """Trips of trucks, each with the place furthest from its first position as its destination."""
    points = pl.read_parquet(FILE).filter(pl.col("vehicle_class") == "truck")
    points = points.sort("trip_id", "sec_of_day").unique(["trip_id", "sec_of_day"], keep="first")
    points = points.sort("trip_id", "sec_of_day")
    origin = (pl.col(c).first().over("trip_id").alias(f"{c}_0") for c in ("lat", "lon"))
    points = points.with_columns(*origin)
    away = _metres("lat_0", "lon_0")
    points = points.with_columns(away.alias("away"))
    furthest = pl.col("away").arg_max()
    ends = points.group_by("trip_id").agg(
        pl.col("lat").get(furthest).alias("lat_1"), pl.col("lon").get(furthest).alias("lon_1")
    )
    return points.join(ends, on="trip_id").sort("sec_of_day", "trip_id")


def _metres(latitude: str, longitude: str) -> pl.Expr:
    a, b = pl.col("lat").radians(), pl.col(latitude).radians()
    u = ((b - a) / 2).sin()
    v = ((pl.col(longitude) - pl.col("lon")).radians() / 2).sin()
    return 2 * 6_371_008.8 * (u**2 + a.cos() * b.cos() * v**2).sqrt().arcsin()


@pytest.fixture(scope="module")
def lake(found: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("athens")
    records = with_ticks(_records(found), "athens", "athens", "trucks")
    write_log(path / "log", records, of=LogOf.TRACKING)
    done = run("replay", path / "log", "--lake", path / "lake")
    assert done.exit_code == 0, done.output
    return path / "lake"


def _event(cls: type[Event], name: str, subject: str, second: int, data: Any) -> Event:
    return cls(  # type: ignore[call-arg]
        id=name, source="athens", subject=subject, time=DAY + timedelta(seconds=second),
        tenant="athens", network="trucks", data=data,
    )  # fmt: skip


def _records(found: pl.DataFrame) -> Iterator[Event]:
    activation = control.PolicyActivation(document=POLICY)
    yield _event(control.PolicyActivated, "policy", "athens", 0, activation)
    planned: set[int] = set()
    for n, row in enumerate(found.iter_rows(named=True)):
        trip, second = str(row["trip_id"]), row["sec_of_day"]
        if row["trip_id"] not in planned:
            planned.add(row["trip_id"])
            for milestone, end in ((Milestone.DEPARTED, 0), (Milestone.ARRIVED, 1)):
                place = shipments.Place(
                    latitude=row[f"lat_{end}"], longitude=row[f"lon_{end}"], radius_m=RADIUS_M
                )
                data = shipments.ShipmentStep(
                    milestone=milestone, classifier=Classifier.PLANNED, place=place,
                    at=DAY + timedelta(seconds=second + 3600 * end),
                )  # fmt: skip
                yield _event(shipments.ShipmentMilestone, f"{milestone}-{trip}", trip, second, data)
        fix = telemetry.Position(device=trip, latitude=row["lat"], longitude=row["lon"])
        yield _event(telemetry.TelemetryPosition, f"p-{n}", trip, second, fix)


def rows(lake: Path, query: str) -> list[tuple[Any, ...]]:
    with connect_reader(lake) as connection:
        return connection.execute(query).fetchall()


def test_every_position_is_there_once(found: pl.DataFrame, lake: Path) -> None:
    assert rows(lake, "SELECT count(*), count(DISTINCT order_id) FROM locations") == [
        (found.height, found["trip_id"].n_unique())
    ]


def test_trucks_arrive_when_they_are_first_within_the_place(
    found: pl.DataFrame, lake: Path
) -> None:
    apart = 2 * RADIUS_M + 100  # ends further apart than this do not overlap
    trips = found.group_by("trip_id").agg(pl.col("away").max()).filter(pl.col("away") > apart)
    there = found.filter(_metres("lat_1", "lon_1") <= RADIUS_M).group_by("trip_id")
    expected = there.agg(pl.col("sec_of_day").min()).join(trips, on="trip_id", how="semi")

    told = dict(rows(lake, f"SELECT order_id, {SECOND} FROM stays WHERE step = 'ARRIVED'"))

    for trip, second in expected.select("trip_id", "sec_of_day").rows():
        assert told[str(trip)] == second
    assert expected.height > 150


def test_trucks_leave_when_they_are_last_within_it(found: pl.DataFrame, lake: Path) -> None:
    there = found.filter(_metres("lat_1", "lon_1") <= RADIUS_M).group_by("trip_id")
    last = there.agg(pl.col("sec_of_day").max().alias("left"))
    ended = found.group_by("trip_id").agg(pl.col("sec_of_day").max().alias("ended"))
    expected = last.join(ended, on="trip_id").filter(pl.col("ended") > pl.col("left") + 600)
    site = "SELECT order_id, latitude, longitude FROM stays WHERE step = 'ARRIVED'"
    told = rows(
        lake,
        f"""
        SELECT order_id, {SECOND} FROM stays INNER JOIN ({site}) AS site
        USING (order_id, latitude, longitude) WHERE step = 'DEPARTED'
        """,
    )

    assert dict(told) == {
        str(trip): second for trip, second in expected.select("trip_id", "left").rows()
    }
    assert len(told) > 100


def test_gaps_of_ten_minutes_are_told_of(found: pl.DataFrame, lake: Path) -> None:
    gap = pl.col("sec_of_day").diff().over("trip_id", order_by="sec_of_day")
    (told,) = rows(
        lake,
        "SELECT count(*) FILTER (change = 'resolved') FROM exceptions WHERE code = 'GPS_STALE'",
    )

    seen_by_any_tick = found.filter(gap >= STALE + 60).height
    assert 0 < seen_by_any_tick <= told[0] <= found.filter(gap >= STALE).height
