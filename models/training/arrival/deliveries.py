"""Real deliveries as journeys, and the moments at which arrivals are judged on them. Never trained on.

They are read where the data are at hand. Times become UTC. A *case* is one question of the card, such as
"Olist, a quarter of the lane's median after hand-over": its rows are the deliveries that were still to come.
Only the later half of them is judged: the earlier one was looked at while inputs and world were chosen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from models.intake.columns import NO_TIME
from models.simulation.journeys import Floats, Ints, Journeys, Moments
from models.tracking.features import Group
from models.tracking.lanes import HOUR_US
from models.training.arrival.replay import Rows, replay

BRASILIA, INDIA, CHINA = -3.0, 5.5, 8.0  # hours from UTC; summer time is ignored
LATER = (0.25, 0.5, 0.75)  # of the lane's median as it was known at hand-over
EARTH_RADIUS_KM = 6371.0


@dataclass(frozen=True, eq=False)
class Case:
    """Rows of one question."""

    name: str
    rows: Rows
    promise_hours: Floats  # until the date told, never below 0; NaN: none


def read_cases(data: Path) -> list[Case]:
    """Every case whose data set is in the folder, in a fixed order."""
    cases = []
    for name, file, read in _SOURCES:
        path = data / file
        if path.is_file():
            cases += read(name, path.parent)
    return cases


def _olist(name: str, folder: Path) -> list[Case]:
    """Carrier to customer; a lane goes from state to state, the promise lasts to the end of its day."""
    orders = pl.read_parquet(folder / "orders.parquet").filter(
        pl.col("order_status") == "delivered"
    )
    sellers = (
        pl.read_parquet(folder / "order_items.parquet")
        .group_by("order_id")
        .agg(seller_id=pl.col("seller_id").min(), sellers=pl.col("seller_id").n_unique())
    )
    customers = pl.read_parquet(folder / "customers.parquet").select(
        "customer_id", "customer_state"
    )
    states = pl.read_parquet(folder / "sellers.parquet").select("seller_id", "seller_state")
    joined = (
        orders.join(sellers.filter(pl.col("sellers") == 1), on="order_id")
        .join(customers, on="customer_id")
        .join(states, on="seller_id")
    )
    frame = joined.select(
        "order_id",
        lane=pl.col("seller_state") + pl.col("customer_state"),
        start=pl.col("order_delivered_carrier_date"),
        end=pl.col("order_delivered_customer_date"),
        promise=pl.col("order_estimated_delivery_date") + pl.duration(days=1),
    )
    journeys = _journeys(frame, "order_id", BRASILIA)
    return [_at_hand_over(f"{name}, at hand-over", journeys)] + [
        _later(f"{name}, after {share:.0%} of the lane's median", journeys, share)
        for share in LATER
    ]


def _trucks(name: str, folder: Path) -> list[Case]:
    """Start to arrival; a lane is a pair of places, the way left is the great circle's."""
    trips = pl.read_parquet(folder / "trips.parquet").unique(
        "booking_id", keep="first", maintain_order=True
    )
    ways = pl.col("origin_lat", "origin_lon", "dest_lat", "dest_lon", "current_lat", "current_lon")
    frame = trips.select(
        "booking_id",
        ways,
        lane=pl.col("origin_code") + " " + pl.col("destination_code"),
        start=pl.col("trip_start_ts"),
        end=pl.col("actual_eta"),
        promise=pl.col("planned_eta"),
        ping=pl.col("data_ping_ts"),
    ).drop_nulls(["booking_id", "lane", "start", "end", "promise"])
    frame = _ordered(frame, "booking_id")
    journeys = _journeys(frame, "booking_id", INDIA)
    ping = _instants(frame["ping"], INDIA)
    whole, left = (_great_circle(frame, start) for start in ("origin", "current"))
    with np.errstate(divide="ignore", invalid="ignore"):
        progress = 1 - left / whole
    has_ping = (ping > journeys.handed_over) & (ping < journeys.delivered) & np.isfinite(progress)
    chosen = np.flatnonzero(has_ping & (whole > 1))
    pinged = _moments(journeys, chosen, ping[chosen], progress.clip(0, 1)[chosen])
    return [
        _at_hand_over(f"{name}, at the start", journeys),
        _case(f"{name}, at the last position", journeys, pinged),
    ]


def _pickups(name: str, folder: Path) -> list[Case]:
    """Acceptance to pick-up by a courier; a lane is a city, the promise is the end of the window."""
    pickups = pl.read_parquet(folder / "pickups.parquet")
    frame = pickups.select(
        "order_id",
        lane=pl.col("city"),
        start=pl.col("accept_time"),
        end=pl.col("pickup_time"),
        promise=pl.col("time_window_end"),
    )
    journeys = _journeys(frame, "order_id", CHINA)
    return [_at_hand_over(f"{name}, at acceptance", journeys)] + [
        _later(f"{name}, after {share:.0%} of the lane's median", journeys, share)
        for share in (LATER[1],)
    ]


_SOURCES: tuple[tuple[str, str, Callable[[str, Path], list[Case]]], ...] = (
    ("Olist", "olist/orders.parquet", _olist),
    ("Trucks", "truck_trips_india/trips.parquet", _trucks),
    ("Pick-ups", "lade_pickup_sample/pickups.parquet", _pickups),
)


def _ordered(frame: pl.DataFrame, key: str) -> pl.DataFrame:
    """What took time at all, by start."""
    return frame.filter(pl.col("end") > pl.col("start")).sort("start", key)


def _journeys(frame: pl.DataFrame, key: str, zone: float) -> Journeys:
    frame = _ordered(frame.drop_nulls(["lane", "start", "end", "promise"]), key)
    lanes = frame["lane"].rank("dense").to_numpy().astype(np.int64) - 1
    start, end, promise = (_instants(frame[name], zone) for name in ("start", "end", "promise"))
    return Journeys(lanes, np.full(len(frame), NO_TIME), start, end, promise)


def _instants(column: pl.Series, zone: float) -> Ints:
    """Local times as us since 1970, UTC; ``NO_TIME`` for null."""
    local = column.dt.epoch("us")
    shifted = (local - round(zone * HOUR_US)).fill_null(NO_TIME)
    return np.asarray(shifted.to_numpy(), np.int64)


def _at_hand_over(name: str, journeys: Journeys) -> Case:
    chosen = np.arange(len(journeys.lane))
    return _case(name, journeys, _moments(journeys, chosen, journeys.handed_over))


def _later(name: str, journeys: Journeys, share: float) -> Case:
    """After a share of the median that was known at hand-over, if it has not arrived by then."""
    chosen = np.arange(len(journeys.lane))
    start = _moments(journeys, chosen, journeys.handed_over)
    scale = replay(journeys, start).scale[np.argsort(start.journey)]
    clock = journeys.handed_over + np.round(share * scale * HOUR_US).astype(np.int64)
    waiting = np.flatnonzero(clock < journeys.delivered)
    return _case(name, journeys, _moments(journeys, waiting, clock[waiting]))


def _case(name: str, journeys: Journeys, moments: Moments) -> Case:
    hours = np.maximum((journeys.promise[moments.journey] - moments.clock) / HOUR_US, 0)
    rows, half = replay(journeys, moments), len(hours) // 2
    return Case(name, Rows(*(column[half:] for column in vars(rows).values())), hours[half:])


def _moments(
    journeys: Journeys, chosen: Ints, clock: Ints, progress: Floats | None = None
) -> Moments:
    """One moment of each chosen journey; nothing was heard of it but its hand-over, or a position."""
    order = np.argsort(clock, kind="stable")
    chosen, clock = chosen[order], clock[order]
    nothing = np.full(len(chosen), np.nan)
    located = clock if progress is not None else np.full(len(chosen), NO_TIME)
    return Moments(
        chosen,
        clock,
        np.full(len(chosen), int(Group.MOVING)),
        journeys.handed_over[chosen] if progress is None else clock,
        located,
        nothing if progress is None else progress[order],
        nothing,
    )


def _great_circle(frame: pl.DataFrame, start: str) -> Floats:
    """Distance of a place and the destination by the haversine formula, km; NaN where unknown."""
    columns = (f"{start}_lat", f"{start}_lon", "dest_lat", "dest_lon")
    a, b, c, d = (np.radians(frame[column].fill_null(np.nan).to_numpy()) for column in columns)
    half = np.sin((c - a) / 2) ** 2 + np.cos(a) * np.cos(c) * np.sin((d - b) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(half.clip(0, 1))))
