"""From a topic to a recorded log, and back.

A recording is an archive that a job can be rebuilt from. It goes on where it stopped: each segment says
in its own metadata up to which offset the topic had been read when it was written, so that a kill
between two writes neither loses nor repeats a record. What is no record goes to its dead letters.
"""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
from confluent_kafka import TopicPartition

from flows.guard import Guard
from flows.journals import KafkaJournal
from flows.kafka.client import consumer
from flows.logs.kafka import KafkaLog, check_start, decode_message, heard, timestamp
from flows.logs.log import partition_of
from flows.logs.parquet import LogWriter, ParquetLog
from flows.logs.source import Pace, event_times
from schemas.codec import Refusal, to_lines
from schemas.errors import InputError, LogError
from schemas.ids import NetworkKey, network_key
from schemas.kinds import Kind
from schemas.slices import Slice

FLUSH_SECONDS = 1.0
_POLL_RECORDS, _POLL_SECONDS = 4_096, 0.1
_MARK = b"crossdock.read_to"
_ORIGIN = "recorded-from"

Progress = Callable[[int], None]


def record(
    log: KafkaLog, out: Path, *, guard: Guard, to_end: bool, progress: Progress = lambda _: None
) -> int:
    """Write the topic's records to a recorded log, from where it stopped; returns how many.

    Args:
        log: the topic.
        out: the recording; made if it is not there.
        guard: asked whether to stop.
        to_end: stop where the topic ends now; otherwise go on until asked.
        progress: told how many records were taken.

    Raises:
        LogError: the recording is of another topic, or the topic lost what was not recorded yet.
    """
    ends = {p: log.end(p) for p in range(log.partitions)} if to_end else None
    taken, flushed_at = 0, time.monotonic()
    with _opened(log, out) as writer:
        at = {p: _read_to(writer.log, p) for p in range(log.partitions)}
        for partition, start in at.items():
            check_start(log, partition, start)
        client = consumer(log.settings, log.settings.group)
        client.assign([TopicPartition(log.name, p, start) for p, start in at.items()])
        while not guard.is_over and not (ends and all(at[p] >= end for p, end in ends.items())):
            for message in client.consume(_POLL_RECORDS, _POLL_SECONDS):
                if (error := message.error()) is not None:
                    heard(log, error, message, at)
                    continue
                partition, offset = message.partition() or 0, message.offset() or 0
                decoded = decode_message(message.value(), offset)
                at[partition] = offset + 1
                if isinstance(decoded, Refusal):
                    writer.dead_letters(f"{log.name}/{partition}", [decoded])
                else:
                    learnt = decoded.recordedtime or timestamp(message)
                    event = msgspec.structs.replace(decoded, recordedtime=learnt)
                    writer.append_to(partition, event, {_MARK: str(offset + 1).encode()})
                    taken += 1
                    progress(1)
            if time.monotonic() - flushed_at > FLUSH_SECONDS:
                writer.flush()
                flushed_at = time.monotonic()
        client.close()
    return taken


def _opened(log: KafkaLog, out: Path) -> LogWriter:
    """The recording, which is of this topic or new."""
    origin = out / _ORIGIN
    if not (out / "log.json").exists():
        writer = LogWriter.create(out, log.partitions)
        origin.write_text(log.id)
        return writer
    if not origin.exists() or origin.read_text() != log.id:
        raise LogError(f"{out} is no recording of topic {log.name}; choose another --out")
    return LogWriter(out)


def _read_to(recording: ParquetLog, partition: int) -> int:
    """Offset to read on from: what the newest segment says; the topic's beginning without one."""
    segments = recording.segments(partition)
    if not segments:
        return 0
    marks = pq.read_schema(segments[-1].path).metadata or {}
    if _MARK not in marks:
        raise LogError(f"{segments[-1].path} does not say where its topic had been read to")
    return int(marks[_MARK])


def send(
    log: ParquetLog, journal: KafkaJournal, speed: float | None, progress: Progress = lambda _: None
) -> int:
    """Write a recorded log to a journal topic, keeping its record times; returns how many records.

    Args:
        log: recorded.
        journal: its networks are partitioned by the topic's own number of partitions.
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
            keys = _keys(piece)
            ticks = (piece.kinds == Kind.CLOCK_TICKED).tolist()
            times = event_times(piece).tolist()
            for line, key, is_tick, at_us in zip(to_lines(piece), keys, ticks, times, strict=True):
                due.wait(at_us)
                if not is_tick:
                    journal.replay(partition_of(key, journal.partitions), key, line)
                elif log.partitions == 1:
                    for every in range(journal.partitions):
                        journal.replay(every, key, line)
                else:
                    journal.replay(partition, key, line)
                sent += 1
                progress(1)
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


def _keys(piece: Slice) -> list[NetworkKey]:
    tenants, networks = (piece.envelope[name].to_pylist() for name in ("tenant", "network"))
    return [network_key(t, n) for t, n in zip(tenants, networks, strict=True)]
