"""From a topic to a recorded log, and back.

A recording is an archive that a job can be rebuilt from. It goes on where it stopped: each segment says
in its own metadata up to which offset the topic had been read when it was written, so that a kill
between two writes neither loses nor repeats a record. What is no record goes to its dead letters.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
from confluent_kafka import Message

from flows.files import publish
from flows.guard import Guard
from flows.journals import KafkaJournal
from flows.kafka.client import consumer
from flows.kafka.reading import TopicReader
from flows.logs.kafka import KafkaLog, decode_message, timestamp
from flows.logs.log import Home, home_of
from flows.logs.parquet import LogWriter, ParquetLog
from flows.logs.source import Pace, event_times
from schemas.codec import Refusal, to_lines
from schemas.errors import InputError, LogError
from schemas.ids import network_key
from schemas.kinds import Kind
from schemas.slices import Slice
from schemas.topics import EVERYWHERE, LogOf

FLUSH_SECONDS = 1.0
_POLL_RECORDS, _POLL_SECONDS = 4_096, 0.1
_MARK = b"crossdock.read_to"
_ORIGIN = "recorded-from"

Progress = Callable[[int], None]


def record(
    log: KafkaLog, out: Path, *, guard: Guard, to_end: bool, progress: Progress = lambda _: None
) -> int:
    """Write the topic to a recorded log, from where it stopped; returns how many messages.

    Args:
        log: the topic.
        out: the recording; made if it is not there.
        guard: asked whether to stop.
        to_end: stop where the topic ends now; otherwise go on until asked.
        progress: told how many messages were taken.

    Raises:
        LogError: the recording is of another topic, or the topic lost what was not recorded yet.
    """
    ends = {p: log.end(p) for p in range(log.partitions)} if to_end else None
    taken, flushed_at = 0, time.monotonic()
    with _opened(log, out) as writer:
        starts = {(log.name, p): _read_to(writer.log, p) for p in range(log.partitions)}
        client = consumer(log.settings, log.settings.group)
        reader = TopicReader(log.settings, client, starts)
        while not guard.is_over and not _is_at(reader, ends):
            messages = reader.poll(_POLL_RECORDS, _POLL_SECONDS)
            for message in messages:
                _write(writer, log.name, message)
            taken += len(messages)
            progress(len(messages))
            if time.monotonic() - flushed_at > FLUSH_SECONDS:
                writer.flush()
                flushed_at = time.monotonic()
        reader.close()
    return taken


def _is_at(reader: TopicReader, ends: Mapping[int, int] | None) -> bool:
    return ends is not None and all(at >= ends[p] for (_, p), at in reader.at.items())


def _write(writer: LogWriter, topic: str, message: Message) -> None:
    partition, offset = message.partition() or 0, message.offset() or 0
    decoded = decode_message(message.value(), offset)
    if isinstance(decoded, Refusal):
        writer.dead_letters(f"{topic}/{partition}", [decoded])
    else:
        learnt = decoded.recordedtime or timestamp(message)
        event = msgspec.structs.replace(decoded, recordedtime=learnt)
        writer.append_to(partition, event, {_MARK: str(offset + 1).encode()})


def _opened(log: KafkaLog, out: Path) -> LogWriter:
    """The recording, which is of this topic or new; a new one says where the topic began."""
    origin = out / _ORIGIN
    if not (out / "log.json").exists():
        writer = LogWriter.create(out, log.partitions, of=log.of)
        firsts = [log.first(p) for p in range(log.partitions)]
        publish(origin, json.dumps({"topic": log.id, "firsts": firsts}).encode())
        return writer
    if not origin.exists() or json.loads(origin.read_bytes())["topic"] != log.id:
        raise LogError(f"{out} is no recording of topic {log.name}; choose another --out")
    return LogWriter(out)


def _read_to(recording: ParquetLog, partition: int) -> int:
    """Offset to read on from: what the newest segment says; without one, where the topic began."""
    segments = recording.segments(partition)
    if not segments:
        firsts: list[int] = json.loads((recording.path / _ORIGIN).read_bytes())["firsts"]
        return firsts[partition]
    marks = pq.read_schema(segments[-1].path).metadata or {}
    if _MARK not in marks:
        raise LogError(f"{segments[-1].path} does not say where its topic had been read to")
    return int(marks[_MARK])


def send(
    log: ParquetLog, journal: KafkaJournal, speed: float | None, progress: Progress = lambda _: None
) -> int:
    """Write a recorded log to its topic, keeping its record times; returns how many records.

    Args:
        log: recorded.
        journal: its topic; networks or orders are partitioned by its own number of partitions.
        speed: event time over wall time; as fast as may be without.
        progress: told how many records were sent.

    Raises:
        InputError: ticks of several partitions cannot be spread over another number of them.
    """
    if log.partitions not in (1, journal.partitions):
        raise InputError(
            f"{log.name} has {log.partitions} partitions and the topic {journal.partitions}: the "
            "ticks of one partition mean nothing in another; make the topic with as many"
        )
    sent, due = 0, _Due(speed)
    for partition in range(log.partitions):
        for piece in log.read(partition):
            homes = _homes(piece, log.of, journal.partitions)
            of_all = EVERYWHERE if log.of is LogOf.TRACKING else {Kind.CLOCK_TICKED}
            ticks = np.isin(piece.kinds, [int(kind) for kind in of_all]).tolist()
            times = event_times(piece).tolist()
            for line, home, tick, at_us in zip(to_lines(piece), homes, ticks, times, strict=True):
                due.wait(at_us)
                if not tick:
                    journal.replay(home.partition, home.key, line)
                elif log.partitions == 1:
                    for every in range(journal.partitions):
                        journal.replay(every, home.key, line)
                else:
                    journal.replay(partition, home.key, line)
            sent += len(piece)
            progress(len(piece))
    journal.flush()
    return sent


class _Due:
    """Waits for event times, in proportion."""

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._pace: Pace | None = None

    def wait(self, at_us: int) -> None:
        """Until this event time is reached."""
        if self._speed is None:
            return
        if self._pace is None:
            self._pace = Pace(self._speed, at_us, time.monotonic())
        time.sleep(max(0.0, self._pace.seconds_until(at_us)))


def _homes(piece: Slice, of: LogOf, partitions: int) -> list[Home]:
    tenants, networks, subjects = (
        piece.envelope[name].to_pylist() for name in ("tenant", "network", "subject")
    )
    keys: Iterable[str] = map(network_key, tenants, networks)
    if of is LogOf.TRACKING:
        keys = (f"{key}/{subject}" for key, subject in zip(keys, subjects, strict=True))
    return [home_of(key, partitions) for key in keys]
