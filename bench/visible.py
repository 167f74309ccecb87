"""From a milestone on the raw topic to its row of the timeline, as a reader in another process sees it.

The job runs in a process of its own: embedded, with the mock broker and recorded logs, or on Apache Kafka.
Milestones are sent at a steady rate while this process asks the lake for new rows again and again; what its
own query takes counts as well.
"""

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
from confluent_kafka import Producer

from bench.figures import Figure
from flows.embedded import EmbeddedBroker, embedded_job
from flows.guard import Guard, ending_in_order
from flows.lake.query import connect_reader
from flows.settings import Settings
from flows.warmup import warm_up
from schemas.codec import encode_event
from schemas.codes import Milestone
from schemas.errors import LakeError
from schemas.shipments import ShipmentMilestone, ShipmentStep

PER_SECOND, MILESTONES, UNCOUNTED = 200, 6_000, 1_000
"""The first are not counted: the job has only just begun."""
GIVE_UP_SECONDS = 120.0
PAUSE_SECONDS = 0.02
"""Between two questions of the reader."""


def measure(scratch: Path) -> list[Figure]:
    """The embedded job."""
    home = scratch / "visible"
    words = [sys.executable, "-m", "bench.visible", str(home)]
    job = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert job.stdout is not None
    bootstrap, raw = job.stdout.readline().split()
    p99 = visible_ms_p99(bootstrap, raw, home / "lake")
    job.terminate()
    job.wait(30)
    return [Figure("track_visible_ms_p99", p99, "ms")]


def visible_ms_p99(bootstrap: str, raw: str, lake: Path) -> float:
    """Send milestones to a raw topic, and look for them in the lake that a job writes."""
    reader = _reader(lake)
    sent: dict[str, float] = {}
    sender = threading.Thread(target=_send, args=(bootstrap, raw, sent))
    sender.start()
    seen: dict[str, float] = {}
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while len(seen) < MILESTONES and time.monotonic() < deadline:
        rows = reader.execute("SELECT event_id FROM timeline WHERE source = 'bench'").fetchall()
        now = time.monotonic()
        for (event_id,) in rows:
            seen.setdefault(event_id, now)
        time.sleep(PAUSE_SECONDS)
    sender.join()
    reader.close()
    assert len(seen) == MILESTONES
    taken = [(seen[name] - sent[name]) * 1e3 for name in list(sent)[UNCOUNTED:]]
    return float(np.percentile(taken, 99))


def _reader(lake: Path) -> duckdb.DuckDBPyConnection:
    """A reader of the lake, as soon as there is one."""
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while True:
        try:
            return connect_reader(lake, threads=1)
        except LakeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def _send(bootstrap: str, raw: str, sent: dict[str, float]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    due = time.monotonic()
    for number in range(MILESTONES):
        due += 1 / PER_SECOND
        time.sleep(max(0.0, due - time.monotonic()))
        event = ShipmentMilestone(
            id=f"v{number}",
            source="bench",
            subject=f"O{number // 4}",
            time=datetime.now(UTC),
            tenant="bench",
            network="one",
            data=ShipmentStep(milestone=Milestone.SCANNED),
        )
        sent[event.id] = time.monotonic()
        producer.produce(raw, encode_event(event), partition=0)
        producer.poll(0)
    producer.flush(10)


def _run(home: Path) -> None:
    """The embedded job, until it is told to end; says where its broker is."""
    guard = Guard()
    with ending_in_order(guard):
        warm_up()
        broker = EmbeddedBroker()
        job, _ = embedded_job(home, broker, Settings(), guard)
        print(broker.settings.bootstrap, broker.settings.raw[0], flush=True)
        job.run()
        broker.close()


if __name__ == "__main__":
    _run(Path(sys.argv[1]))
