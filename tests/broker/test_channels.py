"""Topics of channels: what a platform sends becomes records of the journal by a mapping, or a dead letter."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.channels.book import channels_of
from flows.channels.settings import ChannelSettings
from flows.crossref import CrossReferences
from flows.guard import Guard
from flows.ingest import IngestJob, run
from flows.journals import KafkaJournal
from flows.kafka.client import KafkaSettings
from flows.letters import Letter, Wanted, read_letters, resend
from flows.settings import Settings
from flows.unknown_codes import unknown_codes
from schemas.codec import decode_line
from schemas.errors import InputError
from schemas.orders import OrderReceived
from schemas.topics import LogOf
from tests.support.broker import MockBroker, all_of, write
from tests.support.command_line import run as run_command
from tests.support.jobs import configured

MAPPING = """
name = "shop"
title = "A shop"

[[record]]
type = "order.received"
when = "p.lines is not null"
id = "no"
subject = "no"
time = "at"
[record.data]
region = "country"
payment = { path = "paid", map = "payments" }
[record.data.lines]
each = "lines"
line_no = { sql = "i" }
sku = ".sku"
qty = ".n"

[[record]]
type = "shipment.milestone"
when = "p.scan is not null"
id = "scan"
xref = "tracking"
subject = "number"
time = "at"
[record.data]
milestone = { value = "scanned" }
package = "number"

[[record]]
type = "shipment.milestone"
when = "p.sent is not null"
id = { sql = "p.no || '/' || p.sent" }
subject = "no"
time = "at"
assigns = "tracking"
[record.data]
milestone = { value = "handed_over" }
package = "sent"

[maps.payments]
yes = "authorised"
"""


@pytest.fixture
def topic(mocked: KafkaSettings, mock: MockBroker) -> str:
    """Of the channel."""
    name = mocked.raw[0].replace(".raw", ".shop")
    mock.topic(name, 2)
    return name


def settings_of(topic: str, mapping: Path, text: str = MAPPING) -> Settings:
    mapping.write_text(text, encoding="utf-8")
    channel = ChannelSettings(mapping=str(mapping), topic=topic, tenant="acme", network="eu")
    return Settings(
        customer_secret="of the tests", channels={"shop": channel}, tick_seconds=60, ingest="test"
    )


def ingest(cluster: KafkaSettings, settings: Settings, until: Callable[[IngestJob], bool]) -> None:
    """Run the flow until something is true of its job."""
    guard = Guard()
    job = IngestJob(
        cluster,
        KafkaJournal(cluster, guard),
        settings,
        guard,
        CrossReferences(cluster, settings, guard),
        KafkaJournal(cluster, guard, LogOf.TRACKING),
    )

    def watch() -> None:
        deadline = time.monotonic() + 60
        while not until(job) and time.monotonic() < deadline:
            time.sleep(0.01)
        guard.stop()

    watcher = threading.Thread(target=watch)
    watcher.start()
    run(job)
    watcher.join()


def read(topic: str, messages: int) -> Callable[[IngestJob], bool]:
    return lambda job: sum(n for (name, _), n in job.reader.at.items() if name == topic) >= messages


def an_order(number: str, **changes: Any) -> bytes:
    plain = {
        "no": number,
        "at": "2026-03-01T08:00:00Z",
        "country": "DE",
        "paid": "yes",
        "lines": [{"sku": "X", "n": 2}],
    }
    return json.dumps(plain | changes).encode()


def orders(cluster: KafkaSettings) -> list[str]:
    """Numbers of the orders on the journal."""
    events = [decode_line(value, 1) for _, value in all_of(cluster, cluster.journal)]
    return sorted(event.subject for event in events if isinstance(event, OrderReceived))


def letters(cluster: KafkaSettings) -> list[Letter]:
    return list(read_letters(cluster, Wanted()))


def test_payloads_become_records_and_what_is_none_a_dead_letter_as_it_came(
    mocked: KafkaSettings, topic: str, tmp_path: Path
) -> None:
    bad = [b"{", b'{"ping": 1}', an_order("3", paid="perhaps"), an_order("4", lines=[])]
    sent = [an_order("1"), *bad, an_order("2")]
    write(mocked.bootstrap, topic, [(n % 2, payload) for n, payload in enumerate(sent)])

    ingest(mocked, settings_of(topic, tmp_path / "shop.toml"), read(topic, len(sent)))

    assert orders(mocked) == ["1", "2"]
    refused = {letter.raw: letter.reason for letter in letters(mocked)}
    assert refused == dict(
        zip(bad, ("SCHEMA_INVALID", "UNRECOGNISED", "UNMAPPED", "UNMAPPED"), strict=True)
    )
    assert {letter.source.partition("/")[0] for letter in letters(mocked)} == {topic}


def test_letters_pass_once_the_mapping_is_mended(
    mocked: KafkaSettings, topic: str, tmp_path: Path
) -> None:
    write(mocked.bootstrap, topic, [(0, an_order("1", paid="later")), (0, b"{")])
    before = settings_of(topic, tmp_path / "shop.toml")
    ingest(mocked, before, read(topic, 2))
    assert not any(letter.would_pass(channels_of(before)) for letter in letters(mocked))

    (code,) = unknown_codes(letters(mocked), channels_of(before))
    assert code == (topic, "data.payment", "later", "maps.payments")

    mended = settings_of(topic, tmp_path / "mended.toml", MAPPING + 'later = "pending"\n')
    assert [
        of.would_pass for of in unknown_codes(letters(mocked), channels_of(mended)).values()
    ] == [1]
    passing = [x for x in letters(mocked) if x.would_pass(channels_of(mended))]
    everywhere = mocked.model_copy(update={"raw": [*mocked.raw, topic]})
    assert resend(everywhere, iter(passing)) == 1
    ingest(mocked, mended, read(topic, 3))

    assert orders(mocked) == ["1"]


def test_an_operator_sees_the_codes_that_no_mapping_knows(
    mocked: KafkaSettings, topic: str, tmp_path: Path
) -> None:
    refused = [an_order("1", paid="later"), an_order("2", paid="later"), an_order("3", lines=[])]
    write(mocked.bootstrap, topic, [(0, payload) for payload in refused])
    ingest(mocked, settings_of(topic, tmp_path / "shop.toml"), read(topic, 3))
    config = configured(mocked, tmp_path, 'customer_secret = "of the tests"')
    with config.open("a") as file:
        channel = {"mapping": f"{tmp_path}/shop.toml", "topic": topic, "tenant": "acme"}
        file.write("[channels.shop]\n")
        file.writelines(f'{k} = "{v}"\n' for k, v in (channel | {"network": "eu"}).items())

    table = run_command("dead-letters", "codes", "--config", config)
    told = run_command("dead-letters", "codes", "--config", config, "--json")

    assert table.exit_code == 0
    assert "later" in table.stdout
    (code,) = map(json.loads, told.stdout.splitlines())
    assert (code["channel"], code["field"], code["code"]) == ("shop", "data.payment", "later")
    assert (code["letters"], code["would_pass"]) == (2, 0)
    assert json.loads(code["example"]["raw"])["paid"] == "later"


def test_a_record_of_a_foreign_id_waits(mocked: KafkaSettings, topic: str, tmp_path: Path) -> None:
    scan = {"scan": "s-1", "number": "SF1", "at": "2026-03-01T08:00:00Z"}
    write(mocked.bootstrap, topic, [(0, json.dumps(scan).encode())])

    ingest(mocked, settings_of(topic, tmp_path / "shop.toml"), read(topic, 1))

    (waiting,) = [json.loads(value) for _, value in all_of(mocked, mocked.waiting) if value]
    assert "tracking:SF1" in json.dumps(waiting)
    assert letters(mocked) == []


def parcel(scan: str, number: str = "SF1") -> bytes:
    """What a carrier tells of a parcel that left at noon."""
    return json.dumps({"scan": scan, "number": number, "at": "2026-03-02T13:00:00Z"}).encode()


def sent_as(order: str, number: str = "SF1") -> bytes:
    """What the shop tells of an order that left."""
    return json.dumps({"sent": number, "no": order, "at": "2026-03-02T12:00:00Z"}).encode()


def scans(cluster: KafkaSettings) -> list[tuple[str, str]]:
    """Id and order of each scan that tracking was told."""
    lines = (json.loads(value) for _, value in all_of(cluster, cluster.tracking))
    return sorted(
        (one["id"], one["subject"])
        for one in lines
        if one["type"] == "shipment.milestone" and one["data"]["milestone"] == "scanned"
    )


def test_what_a_shop_says_of_parcels_is_known_to_their_carriers_before_and_after(
    mocked: KafkaSettings, topic: str, tmp_path: Path
) -> None:
    settings = settings_of(topic, tmp_path / "shop.toml")
    write(mocked.bootstrap, topic, [(0, parcel("early")), (0, parcel("other", "SF2"))])
    ingest(mocked, settings, read(topic, 2))
    assert scans(mocked) == []

    write(mocked.bootstrap, topic, [(1, sent_as("o-1")), (1, parcel("late"))])
    ingest(mocked, settings, lambda _: len(scans(mocked)) == 2)
    write(mocked.bootstrap, topic, [(1, sent_as("o-1")), (0, parcel("later"))])
    ingest(mocked, settings, lambda _: len(scans(mocked)) == 3)

    assert scans(mocked) == [("early", "o-1"), ("late", "o-1"), ("later", "o-1")]
    assert len(all_of(mocked, mocked.xref)) == 1, "it is said once"
    assert letters(mocked) == []


def test_an_old_parcel_does_not_get_what_is_told_of_a_new_one_by_its_number(
    mocked: KafkaSettings, topic: str, tmp_path: Path
) -> None:
    old = json.loads(sent_as("o-0")) | {"at": "2025-03-02T12:00:00Z"}
    sent = [json.dumps(old).encode(), sent_as("o-1"), parcel("scan")]
    write(mocked.bootstrap, topic, [(0, payload) for payload in sent])

    ingest(
        mocked,
        settings_of(topic, tmp_path / "shop.toml"),
        lambda _: len(scans(mocked)) == 1,
    )

    assert scans(mocked) == [("scan", "o-1")]


def test_a_wrong_mapping_is_refused_at_the_start(topic: str, tmp_path: Path) -> None:
    settings = settings_of(topic, tmp_path / "shop.toml", MAPPING.replace('qty = ".n"', ""))

    with pytest.raises(
        InputError, match=r"shop\.toml:\d+: record\[0\]\.data\.lines\.qty: OrderLine"
    ):
        channels_of(settings)


def test_channels_need_a_secret(topic: str, tmp_path: Path) -> None:
    settings = settings_of(topic, tmp_path / "shop.toml")

    with pytest.raises(InputError, match="customer_secret"):
        channels_of(settings.model_copy(update={"customer_secret": ""}))
