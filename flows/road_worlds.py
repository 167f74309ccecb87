"""A world of parcels tracked by the ordinary flow: are its alarms right, and what is news worth at once?

The world and the truth about it come from ``models.simulation.parcels``; what is found is read from the
lake, and compared by order, or by parcel. The second question tracks one world twice: once as it is reported,
and once with every report held back to the next run of an hourly sync, as systems do that exchange files.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa

from flows.folding import run_through
from flows.lake.query import connect_reader
from flows.logs.parquet import ParquetLog, write_log
from flows.ticks import with_ticks
from flows.track import TrackJob
from models.simulation.customers import Mood, Wait, ask
from models.simulation.parcels import BEGIN, NETWORK, TENANT, Road, Truth, travel
from models.simulation.scene import in_order
from schemas.codes import Template
from schemas.decisions import DecisionRouted, WorkOffered
from schemas.envelope import Event
from schemas.kinds import INSTANT
from schemas.orders import OrderReceived
from schemas.shipments import ShipmentMilestone
from schemas.topics import LogOf

SHOWN_AFTER = timedelta(seconds=1)
"""From the record to the page: what a commit of the lake takes live (bench: ``track_visible_ms_p99``)."""
SYNC_MINUTES: Mapping[type[Event], int] = {ShipmentMilestone: 120}
OTHER_SYNC_MINUTES = 30
LEAST_RECALL, LEAST_PRECISION = 0.95, 0.9
"""What alarms are held to (domain.md H9)."""
LEAST_PREDICTED = 0.9
"""The same of delays that are said before they are true: 95 % of many parcels, of few less by chance."""
AT_ONCE = (OrderReceived, DecisionRouted, WorkOffered)
"""What the system that decides knows by itself, however others report."""


@dataclass(frozen=True)
class Found:
    """How right one sort of alarm was.

    Attributes:
        what: the sort.
        real: orders, or parcels, of which it is true.
        alarmed: those of which it was said.
        right: those of both.
        most_per_cause: how often one cause was raised, at most; of delays, that a date was missed.
        first_hours: how long before it came true it was said first, median; None: it says nothing beforehand.
        by_proof: share of the right ones that were raised by the very record that proves them; None likewise.
        least_recall: what it is held to.
    """

    what: str
    real: int
    alarmed: int
    right: int
    most_per_cause: int
    first_hours: float | None = None
    by_proof: float | None = None
    least_recall: float = LEAST_RECALL

    @property
    def is_ok(self) -> bool:
        """Whether it is as right as it is held to be (domain.md H9)."""
        is_right = self.recall >= self.least_recall and self.precision >= LEAST_PRECISION
        return is_right and self.most_per_cause <= 1

    @property
    def recall(self) -> float:
        """Of what is true, the share that was said."""
        return self.right / self.real if self.real else 1.0

    @property
    def precision(self) -> float:
        """Of what was said, the share that is true."""
        return self.right / self.alarmed if self.alarmed else 1.0


@dataclass(frozen=True)
class Arm:
    """How news came, and what came of it.

    Attributes:
        lag_minutes_p50: from what happened to the page that shows it.
        lag_minutes_p99: likewise.
        mood: of the customers.
    """

    lag_minutes_p50: float
    lag_minutes_p99: float
    mood: Mood


def alarms(road: Road, folder: Path) -> list[Found]:
    """Track a world in ``folder`` and compare its alarms with the truth."""
    events, truths = travel(road)
    log = _recorded(events, folder / "log")
    run_through(TrackJob, log, folder / "lake")
    with connect_reader(folder / "lake") as connection:
        connection.register("truth", _truth_table(truths))
        connection.register("goods", _goods_table(truths, _positions(log)))
        return [
            _delays(connection, _PREDICTED, "late, said before the date told", LEAST_PREDICTED),
            _delays(connection, _SAID, "late, said before it comes", LEAST_RECALL),
            _excursions(connection),
        ]


def compare(road: Road, folder: Path) -> tuple[Arm, Arm]:
    """Track a world in ``folder`` with an hourly sync, and event by event; in this order."""
    events, truths = travel(road)
    synced = in_order(_held_back(event) for event in events)
    arms = []
    for name, told, is_pushed in (("sync", synced, False), ("events", events, True)):
        run_through(TrackJob, _recorded(told, folder / name / "log"), folder / name / "lake")
        with connect_reader(folder / name / "lake") as connection:
            arms.append(_arm(connection, truths, is_pushed=is_pushed, seed=road.seed))
    return arms[0], arms[1]


def _recorded(events: Iterable[Event], path: Path) -> ParquetLog:
    return write_log(path, with_ticks(events, "simulation", TENANT, NETWORK), of=LogOf.TRACKING)


def _held_back(event: Event) -> Event:
    """The same, learnt by the next run of the sync of its sort of source."""
    if isinstance(event, AT_ONCE):
        return event
    minutes = SYNC_MINUTES.get(type(event), OTHER_SYNC_MINUTES)
    known = event.recordedtime or event.time
    passed = (known - BEGIN) % timedelta(minutes=minutes)
    return msgspec.structs.replace(event, recordedtime=known - passed + timedelta(minutes=minutes))


# Alarms -------------------------------------------------------------------------------------------


def _positions(log: ParquetLog) -> dict[str, int]:
    """Where each record is in the log, by id; of one that was sent twice, the first."""
    found: dict[str, int] = {}
    for piece in log.read(0):
        for name, position in zip(
            piece.envelope["id"].to_pylist(), piece.positions.tolist(), strict=True
        ):
            found.setdefault(name, position)
    return found


def _truth_table(truths: Sequence[Truth]) -> pa.Table:
    return pa.table(
        {
            "order_id": [t.order_id for t in truths],
            "delivered_at": pa.array([t.delivered_at for t in truths], INSTANT),
            "promise_at": pa.array([t.promise_at for t in truths], INSTANT),
            "is_late": [t.is_late for t in truths],
        }
    )


def _goods_table(truths: Sequence[Truth], positions: Mapping[str, int]) -> pa.Table:
    proofs = [proof for truth in truths for proof in truth.proofs.values()]
    return pa.table(
        {
            "package": [package for truth in truths for package in truth.proofs],
            "proof": pa.array([positions.get(proof) for proof in proofs], pa.int64()),
        }
    )


_DELAYS = """
WITH said AS (
    SELECT e.order_id, min(e.raised_at) AS first_at
    FROM exceptions AS e INNER JOIN truth AS t USING (order_id)
    WHERE e.code IN ({codes}) AND e.change = 'raised' AND e.raised_at < t.{before}
    GROUP BY e.order_id
), causes AS (
    SELECT count(*) AS times FROM exceptions
    WHERE code = 'DELAY_BREACHED' AND change = 'raised' GROUP BY order_id, package
)
SELECT
    count(*) FILTER (t.is_late),
    count(*) FILTER (s.order_id IS NOT NULL),
    count(*) FILTER (t.is_late AND s.order_id IS NOT NULL),
    (SELECT coalesce(max(times), 0) FROM causes),
    median(date_diff('second', s.first_at, t.promise_at) / 3600) FILTER (t.is_late)
FROM truth AS t LEFT JOIN said AS s USING (order_id)
"""
_PREDICTED = _DELAYS.format(codes="'DELAY_PREDICTED'", before="promise_at")
"""Before the date told has passed."""
_SAID = _DELAYS.format(codes="'DELAY_PREDICTED', 'DELAY_BREACHED'", before="delivered_at")
"""While the customer still waits."""
_EXCURSIONS = """
WITH raised AS (
    SELECT package, "position", count(*) OVER (PARTITION BY package, code) AS times
    FROM exceptions
    WHERE code IN ('TEMP_EXCURSION_MINOR', 'TEMP_EXCURSION_MAJOR') AND change = 'raised'
), said AS (
    SELECT package, min("position") AS shown_by FROM raised GROUP BY package
)
SELECT
    count(*) FILTER (g.proof IS NOT NULL),
    count(*) FILTER (s.package IS NOT NULL),
    count(*) FILTER (g.proof IS NOT NULL AND s.package IS NOT NULL),
    (SELECT coalesce(max(times), 0) FROM raised),
    avg((s.shown_by = g.proof)::INTEGER) FILTER (g.proof IS NOT NULL AND s.package IS NOT NULL)
FROM goods AS g LEFT JOIN said AS s USING (package)
"""


def _delays(
    connection: duckdb.DuckDBPyConnection, query: str, what: str, least_recall: float
) -> Found:
    row = connection.execute(query).fetchone()
    assert row is not None
    real, alarmed, right, most, hours = row
    return Found(what, real, alarmed, right, most, first_hours=hours, least_recall=least_recall)


def _excursions(connection: duckdb.DuckDBPyConnection) -> Found:
    row = connection.execute(_EXCURSIONS).fetchone()
    assert row is not None
    real, alarmed, right, most, share = row
    return Found("temperature excursions", real, alarmed, right, most, by_proof=share)


# The value of news --------------------------------------------------------------------------------

_NEWS = """
SELECT order_id, epoch_us("at"), epoch_us(recorded_at)
FROM (
    SELECT *, lag(phase, 1, '') OVER (PARTITION BY order_id ORDER BY position, "index") AS before
    FROM timeline
)
WHERE phase <> before AND NOT is_late AND recorded_at IS NOT NULL AND step <> 'DEADLINE'
"""
_MESSAGES = """
SELECT order_id, epoch_us("at"), template FROM outbox WHERE audience = 'customer'
"""


def _arm(
    connection: duckdb.DuckDBPyConnection, truths: Sequence[Truth], *, is_pushed: bool, seed: int
) -> Arm:
    news: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for order_id, happened, recorded in connection.execute(_NEWS).fetchall():
        news[order_id].append(
            (_hours(happened), _hours(recorded) + SHOWN_AFTER.total_seconds() / 3_600)
        )
    messages: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
    if is_pushed:
        for order_id, at, template in connection.execute(_MESSAGES).fetchall():
            messages[order_id].append((_hours(at), template))
    waits = [_wait(t, news[t.order_id], messages[t.order_id]) for t in truths]
    lags = sorted(visible - happened for wait in waits for happened, visible in wait.news)
    p50, p99 = (lags[int(share * (len(lags) - 1))] * 60 for share in (0.5, 0.99))
    return Arm(p50, p99, ask(waits, seed))


def _wait(
    truth: Truth, news: Sequence[tuple[float, float]], messages: Sequence[tuple[float, str]]
) -> Wait:
    warnings = (at for at, template in messages if template == Template.DELAYED)
    return Wait(
        begins=_since(truth.ordered_at),
        promise=_since(truth.promise_at),
        ends=_since(truth.delivered_at),
        news=news,
        messages=[at for at, _ in messages],
        warned=min(warnings, default=float("inf")),
    )


def _hours(instant_us: int) -> float:
    return instant_us / 3.6e9 - BEGIN.timestamp() / 3_600


def _since(at: datetime) -> float:
    return (at.astimezone(UTC) - BEGIN).total_seconds() / 3_600
