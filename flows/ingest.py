"""The ingest flow: raw topics to the journal.

::

    read_raw ──► check_records ──► write_journal
    messages     CloudEvents,      by network; ticks and
    of every     or dead letters   dead letters with them
    raw topic

The topic of a channel has what a platform sends; its mapping makes CloudEvents of it, a poll at a time.

At-least-once: positions on the raw topics are committed to the consumer group after what was made of
them is on the journal, so a crash repeats the last fraction of a second, and the folds drop repeats by
(``source``, ``id``). Nobody balances the group: of each raw topic a process has its share.
What may be said of time: ingest_clock.py.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, partial
from typing import NamedTuple

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from confluent_kafka import Message

from flows.channels.book import channels_of
from flows.channels.engine import Channel, Trouble
from flows.crossref import CrossReferences, Settled
from flows.guard import Guard, GuardedSink, run_guarded
from flows.ingest_clock import LONG_AGO, IngestClock, source_of, tick
from flows.journals import Journal, Letter
from flows.kafka.client import KafkaSettings, consumer
from flows.kafka.positions import GroupPositions, committed
from flows.kafka.producer import LARGE_BYTES
from flows.kafka.reading import AT_ONCE, Place, TopicReader
from flows.kafka.topics import describe
from flows.logs.kafka import decode_message
from flows.logs.log import Home, home_of
from flows.metrics import Metrics
from flows.raw_payloads import with_pointer
from flows.settings import Settings
from flows.vault.opening import vault_of
from flows.vault.payloads import Kept, Sealer
from flows.vault.seals import HEADER
from schemas.codec import Refusal
from schemas.codes import DeadLetterReason
from schemas.control import ClockTicked
from schemas.crossref import Foreign, assignment_of, foreign_of
from schemas.envelope import Event
from schemas.ids import network_key
from schemas.kinds import KIND_OF, KIND_OF_TAG
from schemas.topics import BY_ROUTER, EVERYWHERE, LogOf, is_sent_to, key_on

POLL_MESSAGES = 8_192
COMMIT_SECONDS = 0.2
"""Positions are committed so often: what a crash may repeat."""
FLUSH_SECONDS = 1.0
"""Under steady load the journal is waited for so often, so that positions are committed at all."""
SETTLE_SECONDS = 2.0
"""At the end the brokers have so long to take positions; without them the last records come again."""
_NO_TICKS = "clock.ticked is written by ingest alone: it would move the clock for everyone"


@dataclass
class Checked:
    """What was made of the messages of one poll.

    Attributes:
        records: where each record goes: the log, its home there, its content if it was decoded, how it
            came, and what it becomes if it is too large; in order.
        letters: what is no record, and the topic and partition it came from.
        unresolved: how to look up what is to wait, and that as it came.
        settled: what waited, and is among the records or the letters now.
        reached: next offset by place, once all of the above is written.
        tick: time that all inputs are consumed up to, if it is known anew.
    """

    records: list[tuple[Journal, Home, Event | None, bytes, Letter | None]] = field(
        default_factory=list
    )
    letters: list[Letter] = field(default_factory=list)
    unresolved: list[tuple[Foreign, Letter]] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    reached: Mapping[Place, int] = field(default_factory=dict)
    tick: datetime | None = None


class RawBatch(NamedTuple):
    """Messages of one poll, how far each place has been read with them, and what waits no longer."""

    messages: list[Message]
    reached: dict[Place, int]
    settled: list[Settled]


def build(job: "IngestJob") -> Dataflow:
    """The flow."""
    flow = Dataflow("ingest")
    add_steps(flow, job)
    return flow


def add_steps(flow: Dataflow, job: "IngestJob") -> None:
    """The steps in order, in a flow of their own or beside others."""
    batches = op.input("read_raw", flow, _RawSource(job))
    checked = op.map("check_records", batches, job.check)
    op.output("write_journal", checked, GuardedSink(job.guard, job.write, job.close))


def run(job: "IngestJob") -> None:
    """Ingest on one worker until the job is asked to stop; raises what kept it from going on."""
    run_guarded(build(job), job.guard)


class IngestJob:
    """One run of the flow: its clients, and how far it is."""

    def __init__(
        self,
        kafka: KafkaSettings,
        journal: Journal,
        settings: Settings | None = None,
        guard: Guard | None = None,
        references: CrossReferences | None = None,
        tracking: Journal | None = None,
    ) -> None:
        """Connect, and take up where the group left off.

        Args:
            kafka: the cluster that has the raw topics.
            journal: where to write.
            settings: which of how many processes this is, what it signs as, how often it ticks.
            guard: of the flow.
            references: where foreign ids are looked up; without, they stand for nothing.
            tracking: where to write what becomes of orders; without, that is refused.

        Raises:
            BrokerError: no cluster or no topic there.
            InputError: the mapping of a channel cannot be used.
            LogError: messages expired before they were read.
        """
        chosen = settings or Settings()
        self.kafka = kafka
        self.journal = journal
        self.logs = {LogOf.JOURNAL: journal} | ({LogOf.TRACKING: tracking} if tracking else {})
        self.source = source_of(chosen.ingest, chosen.ordinal)
        self.guard = guard or Guard()
        self.references = references
        self.channels = channels_of(chosen)
        self.sealer = Sealer(vault_of(chosen))
        client = consumer(kafka, ingest_group(kafka))
        places = [
            (topic, partition)
            for topic in (*kafka.raw, *self.channels)
            for partition in chosen.mine(describe(kafka, topic).partitions)
        ]
        self.reader = TopicReader(kafka, client, committed(kafka, client, places))
        self.positions = GroupPositions(kafka, ingest_group(kafka))
        self.clock = IngestClock(kafka, self.reader.at, chosen.tick_seconds)
        for ordinal in range(chosen.processes):
            for log in self.logs.values():
                tick(log, source_of(chosen.ingest, ordinal), LONG_AGO)
        self.metrics = Metrics()
        self._reached: dict[Place, int] = {}
        self._committed_at = time.monotonic()

    def check(self, batch: RawBatch) -> Checked:
        """Make a record or a dead letter of every message."""
        checked = Checked(settled=batch.settled, reached=batch.reached)
        payloads: dict[str, list[Message]] = {}
        for message in batch.messages:
            topic = message.topic() or ""
            if topic in self.channels:
                payloads.setdefault(topic, []).append(message)
                continue
            offset, value = message.offset() or 0, message.value() or b""
            source = _source(topic, message.partition())
            refusal = self._decode(checked, value, source, offset)
            if refusal is not None:
                self._refuse(checked, source, refusal)
        for topic, messages in payloads.items():
            self._map(checked, topic, messages)
        for settled in batch.settled:
            source, offset = settled.waiting.source, settled.waiting.offset
            refusals = [self._decode(checked, value, source, offset) for value in settled.records]
            if not refusals:
                detail = f"{settled.waiting.foreign.xref} stood for nothing, to the end of its wait"
                raw = settled.waiting.raw
                refusals = [Refusal(offset, DeadLetterReason.UNRESOLVED, detail, raw)]
            checked.letters += [(source, refusal) for refusal in refusals if refusal is not None]
        letters = [(_topic(source), letter.reason.name) for source, letter in checked.letters]
        self.metrics.ingested(len(checked.records), letters)
        checked.tick = self.clock.tick(batch.reached)
        return checked

    def _map(self, checked: Checked, topic: str, messages: list[Message]) -> None:
        """Make records of what a channel's platform sent, sealed or not; a dead letter has it sealed."""
        channel = self.channels[topic]
        values = [message.value() or b"" for message in messages]
        for number, message in enumerate(messages):
            if (headers := message.headers()) and HEADER in dict(headers):
                values[number] = self.sealer.opened(values[number])
        mapped = channel.take(values)
        wrong = {trouble.payload: trouble for trouble in mapped.troubles}
        plain = self._plain_homes(channel)
        for record in mapped.records:
            number, line, kind, is_sound = record
            message = messages[number]
            source, offset = _source(topic, message.partition()), message.offset() or 0
            line = with_pointer(line, source, offset)
            if is_sound and (home := plain.get(kind)) and len(line) <= LARGE_BYTES:
                checked.records.append((self.journal, home, None, line, None))
                continue
            event = record.decoded()
            if isinstance(event, Refusal):
                event = replace(event, line_no=offset, raw=line)
            refusal = self._take(checked, event, line, source, offset)
            if assigned := channel.assigned(kind, event):
                self._assign(assigned, event)
            # what waits is a record already: were it sent again, then to a topic of records
            waits_at = _source(self.kafka.raw[0], message.partition())
            if refusal is not None and not self._look_up(checked, waits_at, refusal):
                wrong.setdefault(number, Trouble(number, refusal.reason, refusal.detail))
        troubles = [wrong[number] for number in sorted(wrong)]
        kept = [Kept(values[t.payload], t.payload not in mapped.alien) for t in troubles]
        for trouble, raw in zip(troubles, self.sealer.sealed(channel, kept), strict=True):
            message = messages[trouble.payload]
            letter = Refusal(message.offset() or 0, trouble.reason, trouble.detail, raw)
            checked.letters.append((_source(topic, message.partition()), letter))

    def _plain_homes(self, channel: Channel) -> dict[int, Home]:
        """Where records go that need not be decoded for it, by kind: they are for the router alone."""
        binding, mapped = channel.binding, enumerate(channel.mapping.record)
        home = home_of(network_key(binding.tenant, binding.network), self.journal.partitions)
        kinds = [
            n
            for n, record in mapped
            if KIND_OF_TAG[record.type] in BY_ROUTER and not record.network
        ]
        return dict.fromkeys(kinds, home)

    def _assign(self, foreign_id: str, event: Event | Refusal) -> None:
        """Have a foreign id stand for the order of a record."""
        if self.references is not None and not isinstance(event, Refusal):
            self.references.assign(foreign_id, assignment_of(event))

    def _decode(self, checked: Checked, value: bytes, source: str, offset: int) -> Refusal | None:
        """A record, or why it is none."""
        return self._take(checked, decode_message(value, offset), value, source, offset)

    def _take(
        self, checked: Checked, decoded: Event | Refusal, value: bytes, source: str, offset: int
    ) -> Refusal | None:
        """Say where a record goes, or why it is none."""
        if isinstance(decoded, Refusal):
            return decoded
        if isinstance(decoded, ClockTicked):
            return Refusal(offset, DeadLetterReason.SCHEMA_INVALID, _NO_TICKS, value)
        spare = _spare(source, offset, value) if len(value) > LARGE_BYTES else None
        is_taken = False
        for of, log in self.logs.items():
            if is_sent_to(decoded, of):
                for home in _homes(decoded, of, log.partitions):
                    checked.records.append((log, home, decoded, value, spare))
                is_taken = True
        if is_taken:
            return None
        detail = f"{KIND_OF[type(decoded)].tag} is for the tracking log, which is not written here"
        return Refusal(offset, DeadLetterReason.WRONG_LOG, detail, value)

    def _refuse(self, checked: Checked, source: str, refusal: Refusal) -> None:
        """A dead letter, unless it names its subject by a foreign id."""
        if not self._look_up(checked, source, refusal):
            checked.letters.append((source, refusal))

    def _look_up(self, checked: Checked, source: str, refusal: Refusal) -> bool:
        """Whether it names its subject by a foreign id: then it is looked up, or waits."""
        foreign = foreign_of(refusal.raw) if self.references is not None else None
        if foreign is None or self.references is None:
            return False
        records = self.references.resolve(refusal.raw, foreign)
        if not records:
            checked.unresolved.append((foreign, (source, refusal)))
        found = [self._decode(checked, value, source, refusal.line_no) for value in records]
        checked.letters += [(source, one) for one in found if one is not None]
        return True

    def write(self, checked: Checked) -> None:
        """Hand over to the journal, and commit positions now and then."""
        for log, home, event, raw, spare in checked.records:
            log.put(home, event, raw, spare)
        for source, refusal in checked.letters:
            self.journal.letter(source, refusal)
        if self.references is not None:
            self.references.write_assigned()
            for foreign, (source, refusal) in checked.unresolved:
                spare = _spare(source, refusal.line_no, refusal.raw)
                too_large = partial(self.journal.letter, *spare)
                self.references.keep(foreign, refusal, source, too_large)
            self.references.is_written(checked.settled)
        if checked.tick is not None:
            for log in self.logs.values():
                tick(log, self.source, checked.tick)
        self._reached = {**self._reached, **checked.reached}
        waited = time.monotonic() - self._committed_at
        if waited >= COMMIT_SECONDS and (self._is_durable() or waited >= FLUSH_SECONDS):
            self.commit()

    def _is_durable(self) -> bool:
        waits = self.references is not None and not self.references.is_settled()
        return not waits and all(log.is_settled() for log in self.logs.values())

    def commit(self) -> None:
        """Wait for the journal, then let the group know how far the raw topics are done.

        Raises:
            BrokerError: the journal refuses something, or is away and the flow is to end; or the
                group is refused.
        """
        for log in self.logs.values():
            log.flush()
        if self.references is not None:
            self.references.flush()
        self._committed_at = time.monotonic()
        self.positions.commit(self._reached)

    def close(self) -> None:
        """Finish what was read, and leave."""
        try:
            if self.guard.failure is None:
                self.commit()
                seconds = SETTLE_SECONDS if self.guard.may_wait() else 0
                self.positions.settle(self._reached, seconds)
                for log in self.logs.values():
                    log.close()
                if self.references is not None:
                    self.references.close()
        finally:
            self.reader.close()


def ingest_group(kafka: KafkaSettings) -> str:
    """The consumer group that shows how far the raw topics are done."""
    return f"{kafka.group}.ingest"


def _homes(event: Event, of: LogOf, partitions: int) -> list[Home]:
    """Where a record goes on a log: home, or to every partition."""
    home = home_of(key_on(event, of), partitions)
    if of is LogOf.JOURNAL or KIND_OF[type(event)] not in EVERYWHERE:
        return [home]
    return [Home(partition, home.key) for partition in range(partitions)]


@cache
def _source(topic: str | None, partition: int | None) -> str:
    return f"{topic}/{partition}"


def _topic(source: str) -> str:
    return source.rpartition("/")[0]


def _spare(source: str, offset: int, value: bytes) -> Letter:
    """What a large message becomes if the topic that it is for does not take it."""
    detail = f"{len(value)} bytes, more than our topics take in one message"
    return source, Refusal(offset, DeadLetterReason.TOO_LARGE, detail, value)


class _RawSource(DynamicSource[RawBatch]):
    def __init__(self, job: IngestJob) -> None:
        self.job = job

    def build(self, step_id: str, worker_index: int, worker_count: int) -> "_RawReader":
        return _RawReader(self.job)


class _RawReader(StatelessSourcePartition[RawBatch]):
    def __init__(self, job: IngestJob) -> None:
        self.job = job

    def next_batch(self) -> list[RawBatch]:
        if self.job.guard.is_over:
            raise StopIteration
        with self.job.guard:
            messages = self.job.reader.poll(POLL_MESSAGES)
            references = self.job.references
            settled = references.look() if references is not None and references.is_due else []
            if messages or settled or self.job.clock.is_due:
                return [RawBatch(messages, dict(self.job.reader.at), settled)]
        return []

    def next_awake(self) -> datetime:
        return AT_ONCE
