"""Real data loggers tracked: readings out of band and excursions can be worked out from the columns.

Licence: none is stated; so no extract is in this repository.
"""

from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.lake.query import connect_reader
from flows.logs.parquet import write_log
from flows.ticks import with_ticks
from schemas import telemetry
from schemas.codes import UnitOfMeasure
from schemas.envelope import Event
from schemas.topics import LogOf
from tests.support.command_line import run

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "cold_chain_sensors"
JOINED, MINOR = timedelta(minutes=15), timedelta(minutes=30)

pytestmark = pytest.mark.skipif(
    not (FOLDER / "vaccine_fridge_loggers.parquet").exists(),
    reason="../shared/data/cold_chain_sensors is not at hand",
)


@pytest.fixture(scope="module")
def found() -> pl.DataFrame:
    return pl.read_parquet(FOLDER / "vaccine_fridge_loggers.parquet").sort("ts", "logger_id")


@pytest.fixture(scope="module")
def lake(found: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("loggers")
    records = sorted([*_bindings(found), *_readings(found), *_shocks()], key=lambda e: e.time)
    write_log(path / "log", with_ticks(records, "who", "who", "vaccines"), of=LogOf.TRACKING)
    done = run("replay", path / "log", "--lake", path / "lake")
    assert done.exit_code == 0, done.output
    return path / "lake"


def _event(cls: type[Event], order: str, n: int, at: Any, data: Any) -> Event:
    return cls(  # type: ignore[call-arg]
        id=f"{cls.__name__}-{n}", source=f"logger/{order}", subject=order,
        time=at.replace(tzinfo=UTC), tenant="who", network="vaccines", data=data,
    )  # fmt: skip


def _bindings(found: pl.DataFrame) -> Iterator[Event]:
    for logger in found.unique("logger_id", keep="first", maintain_order=True).to_dicts():
        data = telemetry.Binding(
            device=logger["device"], low_c=logger["limit_low_c"], high_c=logger["limit_high_c"]
        )
        yield _event(telemetry.DeviceBound, logger["logger_id"], 0, logger["ts"], data)


def _readings(found: pl.DataFrame) -> Iterator[Event]:
    for n, row in enumerate(found.iter_rows(named=True)):
        report = telemetry.SensorReport(
            type="Temperature", value=row["temperature_c"], uom=UnitOfMeasure.CELSIUS
        )
        data = telemetry.SensorElement(device=row["device"], reports=[report])
        yield _event(telemetry.TelemetrySensor, row["logger_id"], n, row["ts"], data)


def _shocks() -> Iterator[Event]:
    """What the pallet felt, the worst of each second; its sensor ends at 2 g an axis."""
    pallet = pl.read_parquet(FOLDER / "pallet_shock.parquet")
    force = (sum(pl.col(f"acc_{axis}_mg") ** 2 for axis in "xyz") ** 0.5) / 1000
    worst = pallet.group_by(pl.col("ts").dt.truncate("1s")).agg(force.max().alias("g")).sort("ts")
    for n, (at, value) in enumerate(worst.rows()):
        report = telemetry.SensorReport(
            type="Acceleration", max_value=value, uom=UnitOfMeasure.GRAVITY
        )
        data = telemetry.SensorElement(device="xdk", reports=[report])
        yield _event(telemetry.TelemetrySensor, "pallet_1", n, at, data)


def rows(lake: Path, query: str) -> list[tuple[Any, ...]]:
    with connect_reader(lake) as connection:
        return connection.execute(query).fetchall()


def test_readings_out_of_band_are_those_of_the_loggers_own_limits(
    found: pl.DataFrame, lake: Path
) -> None:
    value = pl.col("temperature_c")
    expected = found.group_by("logger_id").agg(
        (value < pl.col("limit_low_c")).sum().alias("below"),
        (value > pl.col("limit_high_c")).sum().alias("above"),
        value.null_count().alias("failed"),
        pl.len().alias("readings"),
    )

    told = rows(
        lake, "SELECT order_id, below, above, failed, readings FROM cold_chain ORDER BY order_id"
    )

    assert told == [tuple(row) for row in expected.sort("logger_id").rows()]
    assert {row[0]: row[1:3] for row in told}["logger_2"] == (706, 3031)


def test_excursions_are_raised_by_the_readings_that_prove_them(
    found: pl.DataFrame, lake: Path
) -> None:
    expected = {}
    for (logger,), series in found.group_by(["logger_id"], maintain_order=True):
        proofs = []
        for is_bad in (
            pl.col("temperature_c") < pl.col("limit_low_c"),
            pl.col("temperature_c") > pl.col("limit_high_c"),
        ):
            first = last = None
            for at in series.filter(is_bad)["ts"]:
                if last is None or at - last > JOINED:
                    first = at
                last = at
                if at - first >= MINOR:
                    proofs.append(at)
                    break
        if proofs:
            expected[logger] = min(proofs).replace(tzinfo=UTC).timestamp()

    told = rows(
        lake,
        """
        SELECT exceptions.order_id, min(epoch(readings."at"))
        FROM exceptions
        INNER JOIN readings
            ON exceptions.evidence = readings.position AND exceptions.partition = readings.partition
        WHERE code = 'TEMP_EXCURSION_MINOR' AND change = 'raised'
        GROUP BY ALL
        """,
    )

    assert dict(told) == expected
    assert (
        len(expected) == 2
    )  # the third was in band until it was retrieved, the fourth has no limits


def test_mean_kinetic_temperature_weighs_what_was_warm(found: pl.DataFrame, lake: Path) -> None:
    kelvin = pl.col("temperature_c") + 273.15
    mean = found.filter(pl.col("logger_id") == "logger_2").select(
        (10_000 / -(-10_000 / kelvin).exp().mean().log() - 273.15).alias("mkt"),
        pl.col("temperature_c").mean().alias("mean"),
    )

    ((mkt, plain),) = rows(lake, "SELECT mkt_c, mean_c FROM cold_chain WHERE order_id = 'logger_2'")

    assert mkt == pytest.approx(mean["mkt"].item(), abs=1e-6)
    assert mkt > plain == pytest.approx(mean["mean"].item(), abs=1e-9)


def test_a_pallet_that_is_thrown_about_within_the_limit_is_no_shock(lake: Path) -> None:
    (worst,) = rows(
        lake, "SELECT max(max_value), count(*) FROM readings WHERE type = 'Acceleration'"
    )

    assert 3 < worst[0] < 3.5
    assert rows(lake, "SELECT count(*) FROM exceptions WHERE code = 'SHOCK'") == [(0,)]
