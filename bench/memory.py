"""``python -m bench.memory build ORDERS FOLDER``: how much memory the tracking of so many active orders takes.

The world: every order is one parcel with twelve records (received, routed, offered, the node's answers, and
milestones of the road), all orders taking turns, so that no order's history lies together. Names are as long as
real ones: 28 characters for an order and for a parcel, 36 for a customer. One order in ten goes with a logger
that reports fifty times, which fills the window in which repeats are recognised. Then the state is kept twice,
three orders in ten are closed and forgotten, and the last checkpoint is taken up again by a process of its own.

Peak means of the whole process, libraries included, from its start on. Kernels must have been compiled before
(once per version), since compiling takes 1.4 GiB.
"""

import itertools
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.figures import Figure
from flows.checkpoint_store import Directory
from flows.checkpoints import TRACK_FORM, Checkpoint, Checkpoints, Origin
from flows.lake.layout import Flow
from flows.warmup import warm_up
from models.policy.document import Policy
from models.policy.tracking import Tracking
from models.tracking.fold import FORGET_EVERY, advance
from models.tracking.state import TrackState
from schemas import decisions, orders, shipments, telemetry, work
from schemas.codec import to_slice
from schemas.codes import Milestone, TempClass, UnitOfMeasure
from schemas.control import ClockTicked, Tick
from schemas.envelope import Event
from schemas.ids import LogId
from schemas.slices import Slice

ORDERS = 1_000_000
PIECE = 8_192
"""Records of a slice: what has arrived under load."""
ONE_IN, REPORTS = 10, 50
CLOSED_IN_TEN = 3
BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)
POLICY = Policy(version="bench", tracking=Tracking(retention_hours=0.5))
"""Closed orders are forgotten soon, so that the clock need not pass the deadlines of those under way."""
ORIGIN = Origin(LogId("bench"), "", "bench")

Ints = np.ndarray[Any, np.dtype[np.int64]]


def _about(kind: type[Event], **data: Any) -> Event:
    scope: dict[str, Any] = {
        "id": "1",
        "source": "bench",
        "subject": "1",
        "tenant": "bench",
        "network": "one",
    }
    return kind(**scope, time=BEGIN, **data)


def _stories() -> list[Event]:
    """The records of an order, each to be copied for every order."""
    line = orders.OrderLine(line_no=1, sku="S1", qty=2, unit_price_minor=1_999)
    order = orders.Order(region="eu-west", lines=[line], customer="token", tier="gold")
    promise = BEGIN + timedelta(days=5)
    decided = decisions.Decision(
        outcome="FULLY_ROUTED", latest_commit_at=promise, original_commit_at=promise
    )
    offered = decisions.OfferedLine(line_no=1, sku="S1", qty=2)
    answers = (work.WorkAccepted, work.WorkPicked, work.WorkPacked, work.WorkHandedOver)
    steps = ("handed_over", "scanned", "departed", "arrived", "out_for_delivery")
    return [
        _about(orders.OrderReceived, data=order),
        _about(decisions.DecisionRouted, data=decided),
        _about(decisions.WorkOffered, data=decisions.OfferedWork(node="N17", lines=[offered])),
        *(_about(kind, data=work.Work(node="N17")) for kind in answers),
        *(_milestone(Milestone(step)) for step in steps),
    ]


def _milestone(step: Milestone) -> Event:
    data = shipments.ShipmentStep(milestone=step, package="1", carrier="sf", node="N17")
    return _about(shipments.ShipmentMilestone, data=data)


def _names(prefix: str, numbers: Ints, width: int) -> pa.Array:
    """Names of ``width`` characters."""
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width - len(prefix), "0")
    return pc.binary_join_element_wise(prefix, digits, "")


_NAMED: dict[str, Callable[[Ints], pa.Array]] = {
    "package": lambda numbers: _names("SF-EXPRESS-", numbers, 28),
    "customer": lambda numbers: _names("customer-", numbers, 36),
    "device": lambda numbers: _names("logger-", numbers, 20),
}


@dataclass
class World:
    """Slices of the log, one after another."""

    position: int = 0
    at: datetime = BEGIN
    turns: Iterator[int] = field(default_factory=itertools.count)

    def turn(self, story: Event, subjects: Ints) -> Iterator[Slice]:
        """A minute later, the record of each order."""
        self.at += timedelta(minutes=1)
        yield self._put(to_slice([_about(ClockTicked, data=Tick(at=self.at))], 0, self.position))
        turn = next(self.turns)
        for first in range(0, len(subjects), PIECE):
            yield self._put(self._of(story, subjects[first : first + PIECE], turn))

    def pass_by(self, span: timedelta) -> Iterator[Slice]:
        """Time, and enough records that come to nothing for the fold to look at what it may forget."""
        self.at += span
        story = _about(ClockTicked, data=Tick(at=self.at))
        for _ in range(-(-FORGET_EVERY // PIECE)):
            yield self._put(self._of(story, np.zeros(PIECE, np.int64), 0))

    def _put(self, piece: Slice) -> Slice:
        self.position += len(piece)
        return piece

    def _of(self, story: Event, numbers: Ints, turn: int) -> Slice:
        one, n = to_slice([story], 0, 0), len(numbers)
        kind, rows = int(one.kinds[0]), pa.array(np.zeros(n, np.int64))
        ((of, row),) = one.data.items()
        data, envelope = row.take(rows), one.envelope.take(rows)
        for name in set(_NAMED) & set(data.schema.names):
            data = _with(data, name, _NAMED[name](numbers))
        if not isinstance(story, ClockTicked):
            envelope = _with(envelope, "subject", _names("SHOP-2026-", numbers, 28))
        envelope = _with(envelope, "id", _names(f"{turn}-", numbers, 20))
        for name in ("time", "recordedtime"):
            envelope = _with(
                envelope, name, pa.repeat(pa.scalar(self.at, pa.timestamp("us", "UTC")), n)
            )
        positions = np.arange(self.position, self.position + n)
        kinds, offsets = np.full(n, kind, np.int8), np.arange(n, dtype=np.int32)
        return Slice(0, positions, kinds, offsets, envelope, {of: data})


def _with(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    return batch.set_column(batch.schema.get_field_index(name), batch.schema.field(name), column)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _build(number: int, folder: Path) -> dict[str, float]:
    """Everything but taking up; in a process of its own."""
    warm_up([Flow.TRACK])
    said = {"libraries_mib": _peak_mib()}
    state, world, all_orders = TrackState(0, POLICY), World(), np.arange(number)
    longest, spent = 0.0, 0.0

    def take(pieces: Iterator[Slice]) -> None:
        nonlocal longest, spent
        for piece in pieces:
            began = time.perf_counter()
            advance(state, piece)
            took = time.perf_counter() - began
            longest, spent = max(longest, took), spent + took

    for story in _stories():
        take(world.turn(story, all_orders))
    said["orders_mib"] = _peak_mib()
    with_loggers = all_orders[::ONE_IN]
    binding = telemetry.Binding(device="1", package="1", temp_class=TempClass.REFRIGERATED)
    take(world.turn(_about(telemetry.DeviceBound, data=binding), with_loggers))
    report = telemetry.SensorReport(type="Temperature", value=5.0, uom=UnitOfMeasure.CELSIUS)
    reading = telemetry.SensorElement(device="1", reports=[report])
    for _ in range(REPORTS):
        take(world.turn(_about(telemetry.TelemetrySensor, data=reading), with_loggers))
    said |= {"devices_mib": _peak_mib(), "longest_advance_ms": longest * 1e3, "advance_s": spent}
    assert len(state.keys) == number
    store, checkpoint = _checkpoints(folder), Checkpoint(state)
    stops = []
    for _ in range(2):
        began = time.perf_counter()
        store.take(checkpoint, state.position)
        stops.append(time.perf_counter() - began)
        store.wait()
    said |= {"checkpoints_mib": _peak_mib(), "checkpoint_stop_ms": max(stops) * 1e3}
    take(
        world.turn(
            _milestone(Milestone.RETURNED), all_orders[number * (10 - CLOSED_IN_TEN) // 10 :]
        )
    )
    longest = 0.0
    take(world.pass_by(timedelta(minutes=45)))
    assert len(state.keys) == number * (10 - CLOSED_IN_TEN) // 10
    said |= {"forgetting_ms": longest * 1e3, "track_memory_mib": _peak_mib()}
    return said


def _take_up(folder: Path) -> dict[str, float]:
    warm_up([Flow.TRACK])
    began = time.perf_counter()
    state = _checkpoints(folder).load(0, 2**62, POLICY).state
    seconds = time.perf_counter() - began
    assert len(state.keys) > 0
    return {"resume_s": seconds, "resume_mib": _peak_mib()}


def _checkpoints(folder: Path) -> Checkpoints[TrackState]:
    return Checkpoints(Directory(folder), ORIGIN, 10.0, TRACK_FORM)


def measure(scratch: Path) -> list[Figure]:
    """Build, keep and forget in one process; take up in another."""
    said: dict[str, float] = {}
    for task in ("build", "take-up"):
        words = [sys.executable, "-m", "bench.memory", task, str(ORDERS), str(scratch)]
        done = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True)
        said |= json.loads(done.stdout)
    return [
        Figure("track_memory_mib", max(said["track_memory_mib"], said["resume_mib"]), "MiB"),
        Figure("track_longest_advance_ms", said["longest_advance_ms"], "ms"),
        Figure("track_checkpoint_stop_ms", said["checkpoint_stop_ms"], "ms"),
    ]


def main(arguments: list[str]) -> int:
    """Print what was measured, as JSON."""
    match arguments:
        case ["build", number, folder]:
            said = _build(int(number), Path(folder))
        case ["take-up", _, folder]:
            said = _take_up(Path(folder))
        case _:
            raise SystemExit("python -m bench.memory build|take-up ORDERS FOLDER")
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
