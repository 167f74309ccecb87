"""Prints the aggregates of real deliveries that became constants of the simulated world.

``python -m models.training.statistics DATA_DIR`` reads Olist (its earlier half), SCMS and the
Indian truck trips, and prints one line per figure, so that each constant in
``models/simulation/delivery_statistics.py`` can be checked. Nothing but these aggregates leaves it.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from models.training.olist import halves, read_olist

BUCKET_EDGES_KM = (10, 25, 50, 100, 200, 400, 600, 800, 1000, 1500, 2000, 2500)
NORMAL_P90 = 1.2816  # the 0.9 quantile of a standard normal
PEAK_WEEK = ("2017-11-20", "2017-11-27")  # Monday to Monday around Black Friday 2017
USUAL_WEEKS = ("2017-05-01", "2017-11-13")


def olist_by_distance(earlier: pl.DataFrame) -> pl.DataFrame:
    """Median distance, median transit and log spread of each bucket of distance."""
    bucket = pl.lit(0, dtype=pl.Int32)
    for edge in BUCKET_EDGES_KM:
        bucket = bucket + (pl.col("distance_km") > edge).cast(pl.Int32)
    spread = (_p90("transit_hours") / pl.col("transit_hours").median()).log() / NORMAL_P90
    return (
        earlier.group_by(bucket.alias("bucket"))
        .agg(
            orders=pl.len(),
            distance_km=pl.col("distance_km").median(),
            transit_hours=pl.col("transit_hours").median(),
            log_spread=spread,
        )
        .sort("bucket")
    )


def olist_figures(earlier: pl.DataFrame) -> Iterator[tuple[str, float]]:
    """Handling, weekend, promotion and promise figures of the earlier half, by name."""
    weekend = pl.col("approved_at").dt.weekday() >= 6
    days, ends = earlier.filter(~weekend), earlier.filter(weekend)
    yield "share late", _mean(earlier, pl.col("is_late"))
    yield "handling median on weekdays, hours", _median(days, "handling_hours")
    yield "handling, weekend / weekday", _ratio(ends, days, "handling_hours")
    yield "transit, weekend / weekday", _ratio(ends, days, "transit_hours")
    yield (
        "handling log spread",
        _mean(earlier, (_p90("handling_hours") / pl.col("handling_hours").median()).log())
        / NORMAL_P90,
    )
    peak, usual = _between(earlier, PEAK_WEEK), _between(earlier, USUAL_WEEKS)
    yield "handling, Black Friday week / usual", _ratio(peak, usual, "handling_hours")
    yield "transit, Black Friday week / usual", _ratio(peak, usual, "transit_hours")
    one = earlier.filter(pl.col("units") == 1)
    three = earlier.filter(pl.col("units") >= 3)
    yield "handling, 3 and more units / 1", _ratio(three, one, "handling_hours")
    lines_2, lines_1 = pl.col("lines") >= 2, pl.col("lines") == 1
    yield (
        "handling, 2 and more lines / 1",
        _ratio(earlier.filter(lines_2), earlier.filter(lines_1), "handling_hours"),
    )
    light = earlier.filter(pl.col("weight_kg") <= 5)
    heavy = earlier.filter(pl.col("weight_kg").is_between(20, 40))
    yield "handling, 20 to 40 kg / up to 5 kg", _ratio(heavy, light, "handling_hours")
    yield "weight median, kg", _median(earlier, "weight_kg")
    yield "weight log spread", _mean(earlier.filter(pl.col("weight_kg") > 0), _log_std("weight_kg"))
    yield "distance median, km", _median(earlier, "distance_km")
    yield from _hour_wave(earlier)
    yield from _promise(earlier)


def scms_late(data: Path) -> pl.DataFrame:
    """Share of shipment lines delivered after the scheduled day, and median weight, by mode."""
    lines = pl.read_parquet(data / "scms_shipments" / "shipment_lines.parquet")
    late = pl.col("delivered_to_client_date") > pl.col("scheduled_delivery_date")
    by_mode = lines.group_by("shipment_mode").agg(
        lines=pl.len(),
        late=late.mean(),
        weight_kg=pl.col("weight_kg").median(),
        weight_log_spread=_log_std("weight_kg", pl.col("weight_kg") > 0),
    )
    return by_mode.sort("shipment_mode")


def truck_figures(data: Path) -> Iterator[tuple[str, float]]:
    """What the fleet plans per day, and how often a trip misses its plan."""
    trips = pl.read_parquet(data / "truck_trips_india" / "trips.parquet")
    planned = trips.filter(pl.col("min_km_per_day") > 0)
    yield "planned distance per day, km", _median(planned, "min_km_per_day")
    yield "share late", _mean(trips, (pl.col("delay_flag") == "R").fill_null(False))


def _hour_wave(earlier: pl.DataFrame) -> Iterator[tuple[str, float]]:
    """First harmonic of the log median of handling over the UTC hour."""
    hourly = (
        earlier.group_by(pl.col("approved_at").dt.hour().alias("hour"))
        .agg(pl.col("handling_hours").median())
        .sort("hour")
    )
    angle = 2 * np.pi * hourly["hour"].to_numpy() / 24
    level = np.log(hourly["handling_hours"].to_numpy())
    sine, cosine = 2 * np.mean(level * np.sin(angle)), 2 * np.mean(level * np.cos(angle))
    yield "handling log wave over the hour: sine", float(sine)
    yield "handling log wave over the hour: cosine", float(cosine)


def _promise(earlier: pl.DataFrame) -> Iterator[tuple[str, float]]:
    """Location and spread of ln(promise / (typical transit of the distance + typical handling))."""
    knots = olist_by_distance(earlier)
    transit = np.interp(
        np.log1p(earlier["distance_km"].to_numpy()),
        np.log1p(knots["distance_km"].to_numpy()),
        knots["transit_hours"].to_numpy(),
    )
    usual = transit + _median(earlier, "handling_hours")
    margin = np.log(earlier["slack_hours"].to_numpy() / usual)
    low, middle, high = np.quantile(margin, (0.1, 0.5, 0.9))
    yield "promise log margin: median", float(middle)
    yield "promise log margin: spread", float((high - low) / (2 * NORMAL_P90))


def _p90(column: str) -> pl.Expr:
    return pl.col(column).quantile(0.9, "linear")


def _log_std(column: str, where: pl.Expr | None = None) -> pl.Expr:
    values = pl.col(column) if where is None else pl.col(column).filter(where)
    return values.log().std()


def _mean(frame: pl.DataFrame, expression: pl.Expr) -> float:
    return float(frame.select(expression.mean()).item())


def _median(frame: pl.DataFrame, column: str) -> float:
    return float(frame.select(pl.col(column).median()).item())


def _ratio(above: pl.DataFrame, below: pl.DataFrame, column: str) -> float:
    return _median(above, column) / _median(below, column)


def _between(frame: pl.DataFrame, days: tuple[str, str]) -> pl.DataFrame:
    start, end = (pl.lit(day).str.to_datetime("%Y-%m-%d") for day in days)
    return frame.filter((pl.col("approved_at") >= start) & (pl.col("approved_at") < end))


def main() -> None:
    """Print every aggregate."""
    parser = argparse.ArgumentParser(description="Aggregates of real deliveries.")
    parser.add_argument("data", type=Path, help="folder with olist, scms_shipments, ...")
    data: Path = parser.parse_args().data
    earlier, _ = halves(read_olist(data))
    with pl.Config(tbl_rows=50, tbl_hide_dataframe_shape=True):
        print("Olist, earlier half, by distance", olist_by_distance(earlier), sep="\n")
        print("SCMS by mode", scms_late(data), sep="\n")
    for name, value in olist_figures(earlier):
        print(f"Olist, earlier half: {name}: {value:.3f}")
    for name, value in truck_figures(data):
        print(f"Truck trips: {name}: {value:.3f}")


if __name__ == "__main__":
    main()
