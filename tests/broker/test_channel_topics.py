"""Topics of channels: what a platform sends becomes records of the journal by a mapping, or a dead letter."""

import json
import threading
from base64 import b64encode
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from flows.channels.book import channels_of
from flows.channels.engine import token_of
from flows.channels.settings import ChannelSettings, Scheme, Signature
from flows.guard import Guard
from flows.hooks.server import HooksJob
from flows.hooks.settings import HooksSettings
from flows.ingest import IngestJob
from flows.kafka.client import KafkaSettings
from flows.letters import Letter, Wanted, read_letters, resend
from flows.raw_payloads import raw_payload
from flows.settings import Settings
from flows.unknown_codes import unknown_codes
from flows.vault.keys import Owner
from flows.vault.opening import existing_vault, vault_of
from flows.vault.settings import VaultSettings
from schemas.codec import decode_line
from schemas.errors import InputError
from schemas.orders import OrderReceived
from tests.support.broker import MockBroker, all_of, write
from tests.support.command_line import run
from tests.support.hooks import Platform, signed
from tests.support.ingesting import ingest, read
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


PERSONAL = MAPPING.replace("title", 'personal = ["buyer"]\ntitle').replace(
    "[record.data.lines]", 'customer = { path = "buyer.no", token = true }\n[record.data.lines]', 1
)
"""The same, with a buyer."""


def with_vault(settings: Settings, folder: Path) -> Settings:
    """Settings with a vault of their own."""
    master = folder / "master"
    master.write_bytes(b64encode(b"m" * 32))
    vault = VaultSettings(file=folder / "vault.sqlite", master_key_file=master)
    return settings.model_copy(update={"vault": vault})


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


def places(cluster: KafkaSettings, topic: str) -> list[tuple[str, bytes]]:
    """Every message of a topic, with its place."""
    next_offset: Counter[int] = Counter()
    found = []
    for partition, value in all_of(cluster, topic):
        found.append((f"{topic}/{partition}/{next_offset[partition]}", value))
        next_offset[partition] += 1
    return found


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
    assert {letter.raw: letter.is_resent for letter in letters(mocked)} == {
        an_order("1", paid="later"): True,
        b"{": False,
    }


def test_what_is_personal_is_sealed_in_letters_and_passes_when_they_are_sent_again(
    mocked: KafkaSettings, topic: str, tmp_path: Path
) -> None:
    buyer = {"no": 7, "name": "Zorblax"}
    bad = [an_order("1", paid="later", buyer=buyer), b'{"Zorblax', b'{"complaint": "Zorblax"}']
    write(mocked.bootstrap, topic, [(0, payload) for payload in bad])
    before = with_vault(settings_of(topic, tmp_path / "shop.toml", PERSONAL), tmp_path)
    ingest(mocked, before, read(topic, 3))
    mended = settings_of(topic, tmp_path / "mended.toml", PERSONAL + 'later = "pending"\n')
    channels = channels_of(mended)

    assert not any(b"Zorblax" in letter.raw for letter in letters(mocked))
    assert not any(letter.would_pass(channels) for letter in letters(mocked))
    with existing_vault(before) as vault:
        opened = [letter.opened(vault) for letter in letters(mocked)]
    assert [json.loads(opened[0].raw), *(x.raw for x in opened[1:])] == [
        json.loads(bad[0]),
        *bad[1:],
    ]
    everywhere = mocked.model_copy(update={"raw": [*mocked.raw, topic]})
    passing = [x for x, y in zip(letters(mocked), opened, strict=True) if y.would_pass(channels)]
    assert resend(everywhere, iter(passing)) == 1
    assert b"Zorblax" not in all_of(mocked, topic)[-1][1]
    ingest(mocked, with_vault(mended, tmp_path), read(topic, 4))
    assert orders(mocked) == ["1"]


def test_what_is_posted_is_sealed_before_it_is_on_the_topic(
    mocked: KafkaSettings, topic: str, tmp_path: Path
) -> None:
    plain = with_vault(settings_of(topic, tmp_path / "shop.toml", PERSONAL), tmp_path)
    signature = Signature(scheme=Scheme.NONE)
    shop = plain.channels["shop"].model_copy(update={"sealed": True, "signature": signature})
    settings = plain.model_copy(update={"channels": {"shop": shop}, "hooks": HooksSettings(port=0)})
    job = HooksJob(settings, mocked, Guard())
    receiving = threading.Thread(target=job.run)
    receiving.start()
    platform = Platform(job.address)

    answers = [
        platform.post("shop", signed(Scheme.NONE, an_order(number, buyer={"no": buyer})))
        for number, buyer in (("1", "Zorblax"), ("2", "Ann"))
    ]

    platform.close()
    job.guard.stop()
    receiving.join()
    assert [answer.status for answer in answers] == [200, 200]
    assert not any(b"Zorblax" in value or b'"lines"' in value for _, value in all_of(mocked, topic))
    with existing_vault(settings) as vault:
        vault.destroy(Owner("shop", token_of(b"of the tests", "shop", "Ann")))
    ingest(mocked, settings, read(topic, 2))
    assert orders(mocked) == ["1"]
    assert [letter.raw for letter in letters(mocked)] == [b"null"]


def test_a_channel_that_is_sealed_needs_a_vault(topic: str, tmp_path: Path) -> None:
    channel = settings_of(topic, tmp_path / "shop.toml").channels["shop"]

    with pytest.raises(ValueError, match=r"channels\.shop\.sealed: set \[vault\]"):
        Settings(channels={"shop": channel.model_copy(update={"sealed": True})})


def test_what_only_looks_sealed_is_not_opened_for_who_posts_it(
    mocked: KafkaSettings, topic: str, tmp_path: Path
) -> None:
    settings = with_vault(settings_of(topic, tmp_path / "shop.toml", PERSONAL), tmp_path)
    with vault_of(settings) or pytest.fail("no vault") as vault:
        ann = Owner("shop", "ann")
        found = vault.keys_of([ann])[ann].seal(b'"DE"')
    trick = an_order("1", country="?").replace(b'"?"', found)
    write(mocked.bootstrap, topic, [(0, trick)])

    ingest(mocked, settings, read(topic, 1))

    (made,) = [value for _, value in all_of(mocked, mocked.journal) if b"order.received" in value]
    assert json.loads(json.loads(made)["data"]["region"])["sealed"] == found[11:43].decode()


def test_after_a_purge_the_rest_passes_and_what_was_sealed_whole_is_gone(
    mocked: KafkaSettings, topic: str, tmp_path: Path
) -> None:
    buyer = {"no": 7, "name": "Zorblax"}
    write(mocked.bootstrap, topic, [(0, an_order("1", paid="later", buyer=buyer)), (0, b'{"Zo')])
    settings = with_vault(settings_of(topic, tmp_path / "shop.toml", PERSONAL), tmp_path)
    ingest(mocked, settings, read(topic, 2))
    channels = channels_of(
        settings_of(topic, tmp_path / "mended.toml", PERSONAL + 'later = "pending"\n')
    )

    with existing_vault(settings) as vault:
        vault.destroy(Owner("shop", token_of(b"of the tests", "shop", "7")))
        vault.destroy_of_payloads("shop", datetime(9999, 1, 1, tzinfo=UTC))
        order, broken = [letter.opened(vault) for letter in letters(mocked)]

    assert json.loads(order.raw) == json.loads(an_order("1", paid="later")) | {"buyer": None}
    assert order.would_pass(channels)
    assert (broken.raw, broken.is_here) == (b"null", False)


def test_an_operator_opens_purges_and_sends_again(
    mocked: KafkaSettings, topic: str, tmp_path: Path
) -> None:
    payload = an_order("1", paid="later", buyer={"no": 7, "name": "Zorblax"})
    write(mocked.bootstrap, topic, [(0, payload)])
    settings = with_vault(settings_of(topic, tmp_path / "shop.toml", PERSONAL), tmp_path)
    ingest(mocked, settings, read(topic, 1))
    (tmp_path / "shop.toml").write_text(PERSONAL + 'later = "pending"\n')
    config = configured(mocked, tmp_path, 'customer_secret = "of the tests"')
    with config.open("a") as file:
        file.write(
            f'[channels.shop]\nmapping = "{tmp_path}/shop.toml"\ntopic = "{topic}"\n'
            f'tenant = "acme"\nnetwork = "eu"\n[vault]\nfile = "{tmp_path}/vault.sqlite"\n'
            f'master_key_file = "{tmp_path}/master"\n'
        )

    def said(*words: str) -> str:
        done = run(*words, "--config", config)
        assert done.exit_code == 0, done.output
        return done.output

    assert "Zorblax" not in said("dead-letters", "show", "--json")
    assert "Zorblax" in said("dead-letters", "show", "--open", "--json")
    assert "Zorblax" in said("channel", "raw", f"{topic}/0/0")
    assert json.loads(said("dead-letters", "list", "--json"))["would_pass"] == 1
    said("vault", "purge", "--channel", "shop", "--customer", "7", "--yes")
    assert "Zorblax" not in said("dead-letters", "show", "--open", "--json")
    assert "1 of 1 dead letters sent again" in said("dead-letters", "resend")
    assert "0 of 1 dead letters sent again" in said("dead-letters", "resend")
    assert "1 of 1 dead letters would be sent" in said(
        "dead-letters", "resend", "--again", "--dry-run"
    )
    assert b"Zorblax" not in all_of(mocked, topic)[-1][1]


def test_without_a_vault_nothing_personal_is_kept(
    mocked: KafkaSettings, topic: str, tmp_path: Path
) -> None:
    payload = an_order("1", paid="later", buyer={"no": 7, "name": "Zorblax"})
    write(mocked.bootstrap, topic, [(0, payload), (0, b'{"Zorblax')])

    ingest(mocked, settings_of(topic, tmp_path / "shop.toml", PERSONAL), read(topic, 2))

    order, broken = letters(mocked)
    assert json.loads(order.raw)["buyer"] is None
    assert (broken.raw, broken.is_here) == (b"null", False)


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

    table = run("dead-letters", "codes", "--config", config)
    told = run("dead-letters", "codes", "--config", config, "--json")

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


def test_a_record_points_to_the_payload_that_it_was_made_of(
    mocked: KafkaSettings, topic: str, tmp_path: Path
) -> None:
    scan = json.dumps({"scan": "s-1", "number": "SF1", "at": "2026-03-01T08:00:00Z"}).encode()
    write(mocked.bootstrap, topic, [(1, b"{"), (1, an_order("1")), (1, scan)])
    ingest(mocked, settings_of(topic, tmp_path / "shop.toml"), read(topic, 3))

    lines = [(place, json.loads(value)) for place, value in places(mocked, mocked.journal)]
    (order,) = [place for place, line in lines if line["type"] == "order.received"]
    (tick, *_) = [place for place, line in lines if line["type"] == "clock.ticked"]
    assert raw_payload(mocked, order) == (f"{topic}/1/1", an_order("1"))
    assert raw_payload(mocked, f"{topic}/1/2") == (f"{topic}/1/2", scan)
    (waiting,) = [json.loads(value) for _, value in all_of(mocked, mocked.waiting) if value]
    assert waiting["dataref"] == f"{topic}/1/2"
    for place, said in (
        (tick, "was made of no payload"),
        (f"{topic}/1/3", "is gone"),
        (f"{topic}/7/0", "no partition 7"),
        (f"{topic}/1", "TOPIC/PARTITION/OFFSET"),
    ):
        with pytest.raises(InputError, match=said):
            raw_payload(mocked, place)


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


def test_a_carrier_of_one_tenant_says_nothing_of_the_parcels_of_another(
    mocked: KafkaSettings, topic: str, tmp_path: Path
) -> None:
    ours = settings_of(topic, tmp_path / "shop.toml")
    other = ours.channels["shop"].model_copy(update={"tenant": "other"})
    write(mocked.bootstrap, topic, [(0, sent_as("theirs"))])
    ingest(mocked, ours.model_copy(update={"channels": {"shop": other}}), read(topic, 1))
    write(mocked.bootstrap, topic, [(0, parcel("ours-too"))])
    ingest(mocked, ours, read(topic, 2))
    before = scans(mocked)

    write(mocked.bootstrap, topic, [(0, sent_as("o-1"))])
    ingest(mocked, ours, lambda _: len(scans(mocked)) == 1)

    assert before == []
    assert scans(mocked) == [("ours-too", "o-1")]
    assert letters(mocked) == []


def test_dead_letters_are_counted_by_topic_and_reason(
    mocked: KafkaSettings, topic: str, tmp_path: Path
) -> None:
    payloads = [b"{", an_order("3", paid="perhaps"), an_order("4", lines=[]), an_order("5")]
    write(mocked.bootstrap, topic, [(0, payload) for payload in payloads])
    write(mocked.bootstrap, mocked.raw[0], [(0, b"none")])
    seen = set[IngestJob]()

    def until(job: IngestJob) -> bool:
        seen.add(job)
        return read(topic, 4)(job) and read(mocked.raw[0], 1)(job)

    ingest(mocked, settings_of(topic, tmp_path / "shop.toml"), until)

    (job,) = seen
    counted = generate_latest(job.metrics.registry).decode().splitlines()
    for name, reason, count in (
        (topic, "SCHEMA_INVALID", 1),
        (topic, "UNMAPPED", 2),
        (mocked.raw[0], "SCHEMA_INVALID", 1),
    ):
        labels = f'reason="{reason}",topic="{name}"'
        assert f"crossdock_ingest_dead_letters_total{{{labels}}} {count}.0" in counted
