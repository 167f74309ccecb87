"""The live job on a real Apache Kafka: latency from end to end, and the rate of each stage.

The broker was just started, and its JVM compiles what it runs: it takes half a core and the latencies
are double for its first 20 seconds. So rates are measured first, and the orders of the first 20 seconds
are not counted.

Per core means per second of this process's CPU time, all threads of the client counted.
"""

import gc
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

import msgspec
import numpy as np
from confluent_kafka import Consumer, TopicPartition

from bench import channels
from bench.figures import Figure
from bench.visible import visible_ms_p99
from flows.folding import run
from flows.guard import Guard
from flows.ingest import IngestJob
from flows.ingest import run as run_ingest
from flows.journals import KafkaJournal
from flows.kafka import topics
from flows.kafka.client import KafkaSettings
from flows.kafka.producer import ReliableProducer
from flows.lake.query import connect_reader
from flows.logs.kafka import KafkaLog, KafkaSource
from flows.logs.parquet import ParquetLog
from flows.recording import send
from flows.route import RouteJob
from flows.settings import Settings
from schemas.codec import to_lines
from schemas.kinds import Kind

PER_SECOND = 1_000
UNCOUNTED = 20 * PER_SECOND
RUNS = 3


def of_its_own(bootstrap: str) -> KafkaSettings:
    """Topics of one partition that nobody else uses."""
    name = f"bench-{uuid.uuid4().hex[:12]}"
    settings = KafkaSettings(
        bootstrap=bootstrap, raw=[f"{name}.raw"], journal=f"{name}.journal",
        tracking=f"{name}.tracking", dead_letters=f"{name}.dead-letters", group=name,
    )  # fmt: skip
    topics.create(settings, partitions=1, replicas=1)
    return settings


def measure(
    bootstrap: str, log: ParquetLog, paced: ParquetLog, scratch: Path, from_parquet: float
) -> list[Figure]:
    """All figures.

    Args:
        bootstrap: of the cluster.
        log: for rates.
        paced: for latencies; its orders are sent at 1,000 a second.
        scratch: for lakes.
        from_parquet: orders a second from a recorded log to the lake, for the ratio.
    """
    records = list(_lines(log, orders=True))
    rates = [
        _ingested(of_its_own(bootstrap), records, Settings(tick_seconds=3600.0))
        for _ in range(RUNS)
    ]
    ingested, per_core = max(rates, key=itemgetter(1))
    payloads = list(channels.payloads())
    mapped = max(_mapped(of_its_own(bootstrap), payloads) for _ in range(RUNS))
    decoded = channels.decoded_per_s()
    plain = _journal_to_lake(of_its_own(bootstrap), log, scratch / "plain", tracking=False)
    both = _journal_to_lake(of_its_own(bootstrap), log, scratch / "both", tracking=True)
    latencies, visible = _latencies(of_its_own(bootstrap), paced, scratch / "live")
    p50, p99 = np.percentile(latencies, [50, 99])
    tracked = _track_visible(of_its_own(bootstrap), scratch / "tracked")
    return [
        Figure("kafka_decision_ms_p50", float(p50), "ms"),
        Figure("kafka_decision_ms_p99", float(p99), "ms"),
        Figure("visible_ms_p99", visible, "ms"),
        Figure("kafka_track_visible_ms_p99", tracked, "ms"),
        Figure("raw_to_journal_events_per_s", per_core, "per core", ingested, per_core / ingested),
        Figure("channel_to_journal_events_per_s", mapped, "per core"),
        Figure("channel_to_journal_vs_decoder", mapped, "per core", decoded, mapped / decoded),
        Figure("journal_to_lake_vs_parquet", plain, "orders/s", from_parquet, plain / from_parquet),
        Figure("exactly_once_cost_ratio", both, "orders/s", plain, both / plain),
    ]


def _lines(log: ParquetLog, orders: bool) -> Iterator[bytes]:
    """Records as their producers would send them: orders, or what sets the network up."""
    for piece in log.read(0):
        wanted = (piece.kinds == Kind.ORDER_RECEIVED) == orders
        rows = np.flatnonzero(wanted & (piece.kinds != Kind.CLOCK_TICKED))
        yield from to_lines(piece.take(rows), recorded=False)


def _started(settings: KafkaSettings, lake: Path) -> subprocess.Popen[bytes]:
    """The live job, in a process of its own."""
    surroundings = {
        "CROSSDOCK_LAKE": str(lake), "CROSSDOCK_KAFKA__BOOTSTRAP": settings.bootstrap,
        "CROSSDOCK_KAFKA__RAW": msgspec.json.encode(settings.raw).decode(),
        "CROSSDOCK_KAFKA__JOURNAL": settings.journal,
        "CROSSDOCK_KAFKA__TRACKING": settings.tracking,
        "CROSSDOCK_KAFKA__DEAD_LETTERS": settings.dead_letters,
        "CROSSDOCK_KAFKA__GROUP": settings.group,
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "run"],
        env=os.environ | surroundings,
        stderr=subprocess.DEVNULL,
    )


def _latencies(settings: KafkaSettings, paced: ParquetLog, lake: Path) -> tuple[list[float], float]:
    """Milliseconds from an order on the raw topic to its decision on the tracking topic.

    Also the p99 from record time to the row's commit to the lake. Of the orders after ``UNCOUNTED``.
    """
    producer = ReliableProducer(settings)
    for line in _lines(paced, orders=False):
        producer.put(settings.raw[0], 0, b"", line)
    producer.flush()
    job = _started(settings, lake)
    orders = list(_lines(paced, orders=True))
    sent: dict[str, float] = {}
    decided: dict[str, float] = {}
    gc.freeze()  # to look through all that is in this process would take 0.1 s now and then
    listener = threading.Thread(target=_listen, args=(settings, len(orders), decided))
    listener.start()
    time.sleep(8)  # until the job has started and knows the network
    due = time.monotonic()
    for line in orders:
        due += 1 / PER_SECOND
        time.sleep(max(0.0, due - time.monotonic()))
        sent[msgspec.json.decode(line)["subject"]] = time.monotonic()
        producer.put(settings.raw[0], 0, b"", line)
        producer.poll()
    producer.flush()
    listener.join(60)
    job.terminate()
    job.wait(30)
    counted = [order for order in list(sent)[UNCOUNTED:] if order in decided]
    with connect_reader(lake) as reader:
        visible = reader.execute(
            "SELECT quantile_cont(epoch_ms(m.committed_at) - epoch_ms(d.decided_at), 0.99) "
            "FROM decisions AS d INNER JOIN measurements AS m ON d.partition = m.partition "
            "AND d.position BETWEEN m.first_position AND m.position WHERE d.order_id = ANY(?)",
            [counted],
        ).fetchall()[0][0]
    return [(decided[o] - sent[o]) * 1e3 for o in counted], float(visible)


def _track_visible(settings: KafkaSettings, lake: Path) -> float:
    """Milliseconds, p99, from a milestone on the raw topic to its row in the lake."""
    job = _started(settings, lake)
    p99 = visible_ms_p99(settings.bootstrap, settings.raw[0], lake)
    job.terminate()
    job.wait(30)
    return p99


def _listen(settings: KafkaSettings, orders: int, decided: dict[str, float]) -> None:
    client = Consumer(
        {"bootstrap.servers": settings.bootstrap, "group.id": "bench", "fetch.wait.max.ms": 100}
    )
    client.assign([TopicPartition(settings.tracking, 0, 0)])
    deadline = time.monotonic() + 60
    while len(decided) < orders and time.monotonic() < deadline:
        message = client.poll(0.01)  # consume would wait for more to come
        at = time.monotonic()
        if message is not None and message.error() is None:
            event = msgspec.json.decode(message.value() or b"")
            if event["type"].startswith("decision."):
                decided.setdefault(event["subject"], at)
    client.close()


def _ingested(kafka: KafkaSettings, raw: list[bytes], settings: Settings) -> tuple[float, float]:
    """Events a second from a raw topic, or that of a channel, to the journal: by the clock, and by CPU time."""
    producer, events = ReliableProducer(kafka), len(raw)
    (topic,) = [channel.topic for channel in settings.channels.values()] or kafka.raw
    for line in raw:
        producer.put(topic, 0, b"", line)
    producer.flush()
    job = IngestJob(kafka, KafkaJournal(kafka), settings)

    def watch() -> None:
        while sum(job.reader.at.values()) < events:
            time.sleep(0.01)
        job.guard.stop()

    watcher = threading.Thread(target=watch)
    began, spent = time.perf_counter(), time.process_time()
    watcher.start()
    run_ingest(job)
    watcher.join()
    return events / (time.perf_counter() - began), events / (time.process_time() - spent)


def _mapped(kafka: KafkaSettings, payloads: list[bytes]) -> float:
    """Payloads a second from a channel's topic to the journal, by CPU time."""
    (topic,) = kafka.raw
    records = f"{topic}.records"
    of_records = kafka.model_copy(update={"raw": [records]})
    topics.create(of_records, partitions=1, replicas=1)
    return _ingested(of_records, payloads, channels.settings(topic))[1]


def _journal_to_lake(
    settings: KafkaSettings, log: ParquetLog, lake: Path, *, tracking: bool
) -> float:
    """Records a second from the journal topic to the lake, with decisions published or not."""
    records = send(log, KafkaJournal(settings), None)
    journal, guard = KafkaLog(settings, settings.journal), Guard()
    began = time.perf_counter()
    job = RouteJob.open(journal, lake, tracking=settings if tracking else None, guard=guard)
    run(KafkaSource(journal, job.starts, ends={0: journal.end(0)}, guard=guard), job)
    return records / (time.perf_counter() - began)
