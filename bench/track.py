"""Tracking at full speed: a recorded tracking log into a lake, against an object per event.

The world: every order is one parcel with nine milestones, an hour apart, all orders taking turns, and a
tick a minute. Both sides work out each order's phase and write a row for every milestone; the flow also has
the shipped model estimate every arrival anew at each of them. Then loggers that
go with parcels, each reading temperature every five minutes, a record for each reading.
"""

import itertools
import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from bench.figures import Figure
from flows.folding import run
from flows.logs.parquet import ParquetLog, write_log
from flows.logs.source import LogSource
from flows.ticks import with_ticks
from flows.track import TrackJob
from models.inference import shipped_model_sha256
from models.lifecycle.transitions import TABLE
from schemas.codes import Milestone, ModelOf, Phase, TempClass, UnitOfMeasure
from schemas.control import ModelActivated, ModelActivation
from schemas.envelope import Event
from schemas.kinds import Kind
from schemas.shipments import ShipmentMilestone, ShipmentStep
from schemas.telemetry import Binding, DeviceBound, SensorElement, SensorReport, TelemetrySensor
from schemas.topics import LogOf

ORDERS, PLAIN_MILESTONES, RUNS = 50_000, 50_000, 3
DEVICES, READINGS = 20_000, 25
BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)
STEPS = tuple(
    map(
        Milestone,
        (
            "packed", "handed_over", "scanned", "departed", "arrived", "scanned", "out_for_delivery",
            "delivered", "signed",
        ),
    )
)  # fmt: skip


def measure(folder: Path, scratch: Path) -> list[Figure]:
    """Log to lake through the flow, and a plain loop; the best of some runs each."""
    log = _log(folder / f"tracking-{ORDERS}-estimated")
    milestones = ORDERS * len(STEPS)
    readings = _readings_log(folder / f"readings-{DEVICES}")
    flow = min(_flow(log, scratch / f"tracked-{n}") for n in range(RUNS))
    sensors = min(_flow(readings, scratch / f"sensed-{n}") for n in range(RUNS))
    plain = min(_plain(log, scratch / f"plain-{n}.duckdb") for n in range(RUNS))
    rate, baseline = milestones / flow, PLAIN_MILESTONES / plain
    return [
        Figure("milestones_per_s", rate, "milestones/s"),
        Figure("track_vs_plain_loop", rate, "milestones/s", baseline, rate / baseline),
        Figure("telemetry_readings_per_s", DEVICES * READINGS / sensors, "readings/s"),
    ]


def _log(path: Path) -> ParquetLog:
    """The recorded log; made once, then reused."""
    if (path / "log.json").exists():
        return ParquetLog(path)
    return write_log(path, with_ticks(_events(), "bench", "bench", "one"), of=LogOf.TRACKING)


def _readings_log(path: Path) -> ParquetLog:
    if (path / "log.json").exists():
        return ParquetLog(path)
    return write_log(path, with_ticks(_readings(), "bench", "bench", "one"), of=LogOf.TRACKING)


def _readings() -> Iterator[Event]:
    scope: dict[str, Any] = {"tenant": "bench", "network": "one"}
    for device in range(DEVICES):
        subject, name = f"O{device:08d}", f"D{device:08d}"
        data = Binding(device=name, temp_class=TempClass.REFRIGERATED)
        yield DeviceBound(id=name, source="wms", subject=subject, time=BEGIN, data=data, **scope)
    for number, (turn, device) in enumerate(itertools.product(range(READINGS), range(DEVICES))):
        celsius = 5 + 2 * math.sin(turn + device)
        report = SensorReport(type="Temperature", value=celsius, uom=UnitOfMeasure.CELSIUS)
        yield TelemetrySensor(
            id=f"r{number:09d}",
            source="iot",
            subject=f"O{device:08d}",
            time=BEGIN + timedelta(minutes=5 * turn, seconds=device * 300 / DEVICES),
            data=SensorElement(device=f"D{device:08d}", reports=[report]),
            **scope,
        )


def _events() -> Iterator[Event]:
    activation = ModelActivation(sha256=shipped_model_sha256(ModelOf.ARRIVAL), of=ModelOf.ARRIVAL)
    scope: dict[str, Any] = {"tenant": "bench", "network": "one"}
    yield ModelActivated(
        id="model", source="bench", subject="arrival", time=BEGIN, data=activation, **scope
    )
    for number, (hour, order) in enumerate(
        itertools.product(range(len(STEPS)), range(ORDERS)), start=1
    ):
        yield ShipmentMilestone(
            id=f"e{number:09d}",
            source="carrier",
            subject=f"O{order:08d}",
            time=BEGIN + timedelta(hours=hour, seconds=order * 3_600 / ORDERS),
            tenant="bench",
            network="one",
            data=ShipmentStep(milestone=STEPS[hour], package=f"P{order:08d}", carrier="sf"),
        )


def _flow(log: ParquetLog, lake: Path) -> float:
    """Seconds from log to lake."""
    began = time.perf_counter()
    job = TrackJob.open(log, lake)
    run(LogSource(log, job.starts, guard=job.guard), job)
    return time.perf_counter() - began


def _plain(log: ParquetLog, lake: Path) -> float:
    """Seconds that an object per event takes for the first milestones."""
    began = time.perf_counter()
    phases: dict[str, Phase] = {}
    seen: set[tuple[str, str]] = set()
    rows: list[dict[str, Any]] = []
    for piece in log.read(0):
        data = iter(piece.of_kind(Kind.SHIPMENT_MILESTONE)[1].to_pylist())
        for code, envelope in zip(piece.kinds.tolist(), piece.envelope.to_pylist(), strict=True):
            if code != Kind.SHIPMENT_MILESTONE:
                continue
            step, key = next(data), (envelope["source"], envelope["id"])
            if key in seen:
                continue
            seen.add(key)
            order = envelope["subject"]
            before = phases.get(order)
            milestone = Milestone(step["milestone"])
            phases[order] = TABLE[before].get(milestone, before or Phase.PACKED)
            rows.append({**envelope, **step, "phase": phases[order].value})
            if len(rows) == PLAIN_MILESTONES:
                return time.perf_counter() - began + _write(rows, lake)
    raise ValueError("the log is too short")


def _write(rows: list[dict[str, Any]], lake: Path) -> float:
    began = time.perf_counter()
    connection = duckdb.connect(str(lake))
    connection.register("rows_to_write", pa.Table.from_pylist(rows))
    connection.execute("CREATE TABLE timeline AS SELECT * FROM rows_to_write")
    connection.close()
    return time.perf_counter() - began
