"""Hostile messages on the raw topic of the live job: none of them stops it, and none is lost."""

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from flows.kafka.client import KafkaSettings, admin
from flows.letters import Letter, Wanted, read_letters
from schemas.codec import encode_event
from tests.support.broker import all_of, on_kafka_alone, write
from tests.support.builders import order
from tests.support.jobs import (
    check_ingest,
    check_no_repeats,
    check_route,
    configured,
    ended,
    has_ingested,
    said,
    seed,
    started,
    wait,
    world_lines,
)

SEED = 20261126
RECORDS = 600
MEBIBYTE = 1024 * 1024


@on_kafka_alone
def test_hostile_messages_cost_nothing_but_themselves(
    cluster: KafkaSettings, tmp_path: Path
) -> None:
    chosen = seed(SEED)
    chance = random.Random(chosen)
    world = world_lines(tmp_path / "world", chosen, RECORDS)
    repeats = [chance.choice(world) for _ in range(len(world) // 4)]
    others = [_with_other_body(chance.choice(world), chance) for _ in range(len(world) // 4)]
    good = [*world, *repeats, *others, _padded(order("large"), 900_000)]
    bad = list(_bad(world, chance))
    messages = _shuffled([*good, *bad], window=60, chance=chance)
    config = configured(cluster, tmp_path)

    write(cluster.bootstrap, cluster.raw[0], [(0, bad[0]), *((0, value) for value in messages)])
    process = started("--config", config)
    wait(lambda: has_ingested(cluster, good))
    wait(lambda: len(all_of(cluster, cluster.dead_letters)) >= len(bad) + 1)
    ended(process)

    check_ingest(cluster, good, bad)
    check_route(cluster, config, tmp_path)
    check_no_repeats(cluster)


def test_a_message_that_no_topic_takes_leaves_a_dead_letter_without_its_bytes(
    mocked: KafkaSettings, tmp_path: Path
) -> None:
    """The client itself refuses it."""
    limit: dict[str, str | int | float | bool] = {"message.max.bytes": MEBIBYTE}
    small = mocked.model_copy(update={"client": limit})
    goes_on_without(small, tmp_path, MEBIBYTE + 200_000)


@pytest.mark.broker
def test_a_message_larger_than_the_topics_take_leaves_a_dead_letter_without_its_bytes(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    """The broker refuses it: the raw topic takes what journal and dead letters do not."""
    for topic in (kafka.journal, kafka.dead_letters, kafka.tracking):
        _limit(kafka, topic, MEBIBYTE)
    _limit(kafka, kafka.raw[0], 8 * MEBIBYTE)
    goes_on_without(kafka, tmp_path, 3 * MEBIBYTE)


def goes_on_without(cluster: KafkaSettings, folder: Path, size: int) -> None:
    """A large record and large rubbish among good records; neither has room in journal or letters."""
    good, config = world_lines(folder / "world", seed(SEED), 300), configured(cluster, folder)
    record, rubbish = _padded(order("large"), size), random.Random(SEED).randbytes(size)
    messages = [good[0], record, *good[1:100], rubbish, *good[100:]]
    write(cluster.bootstrap, cluster.raw[0], [(0, value) for value in messages], 8 * MEBIBYTE)

    process = started("--config", config)
    wait(lambda: has_ingested(cluster, good))
    wait(lambda: len(all_of(cluster, cluster.dead_letters)) >= 2)
    ended(process)

    letters = sorted(read_letters(cluster, Wanted(None, None)), key=_place)
    assert [(x.reason, x.bytes_left_out, x.raw) for x in letters] == [
        ("TOO_LARGE", len(record), b""),
        ("SCHEMA_INVALID", len(rubbish), b""),
    ]
    assert [_place(x) for x in letters] == [
        (f"{cluster.raw[0]}/0", 1),
        (f"{cluster.raw[0]}/0", 101),
    ]
    check_ingest(cluster, good, [b""])
    check_route(cluster, config, folder)
    code, _, complaint = said("dead-letters", "resend", "--config", config, "--all")
    assert (code, "0 of 2 dead letters sent" in complaint) == (0, True)


def _place(letter: Letter) -> tuple[str, int]:
    return letter.source, letter.source_offset


def _limit(cluster: KafkaSettings, topic: str, size: int) -> None:
    """How large a message the topic takes."""
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    client = admin(cluster)  # its answers end with it
    client.incremental_alter_configs([resource])[resource].result(30)


def _padded(event: object, size: int) -> bytes:
    """A record with a field that nobody knows, of bytes that no codec makes smaller."""
    body = msgspec.json.decode(encode_event(event))  # type: ignore[arg-type]
    return msgspec.json.encode({**body, "pad": random.Random(SEED).randbytes(size // 2).hex()})


def _with_other_body(line: bytes, chance: random.Random) -> bytes:
    """The same ids, and something else in it."""
    body = msgspec.json.decode(line)
    if "qty" in body["data"]:
        body["data"]["qty"] = chance.randint(1, 50)
    for one in body["data"].get("lines") or []:
        one["qty"] = chance.randint(1, 50)
    return msgspec.json.encode(body)


def _bad(world: list[bytes], chance: random.Random) -> Iterator[bytes]:
    """What is no record, each in another way."""
    placed = next(line for line in world if b'"order.received"' in line and b'"qty":' in line)
    yield b"\x00poison"
    yield b""
    yield b"null"
    yield b"[" * 10_000
    yield b'{"a":' * 10_000 + b"1" + b"}" * 10_000
    yield b'{"type":' + b'"' + b"t" * 100_000 + b'"}'
    yield placed.replace(b"order.received", b"\xff\xfe\xfd")
    yield placed.replace(b'"order.received"', b"null")
    for _ in range(10):
        yield placed[: chance.randint(1, len(placed) - 2)]
    head, _, rest = placed.partition(b'"qty":')
    after = rest.lstrip(b"0123456789")
    for qty in (
        b"NaN",
        b"1e400",
        b"-1",
        b"-0.5",
        b"9" * 400,
        b"1e9",
        b"null",
        b'"1"',
        b"[]",
        b"{}",
    ):
        yield head + b'"qty":' + qty + after


def _shuffled(values: list[bytes], window: int, chance: random.Random) -> list[bytes]:
    """In an order that is lost within each window; some come much later."""
    late = [value for value in values if chance.random() < 0.02]
    found = [value for value in values if value not in set(late)]
    for at in range(0, len(found), window):
        part = found[at : at + window]
        chance.shuffle(part)
        found[at : at + window] = part
    return [*found, *late]
