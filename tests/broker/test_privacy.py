"""A person's data on the whole road, from shop and drop folder to the lake: after a purge it is nowhere.

Everything that is kept anywhere is searched byte by byte, Parquet files by what is in them.
"""

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows.channels.settings import Scheme
from flows.folding import run as run_fold
from flows.guard import Guard
from flows.hooks.server import HooksJob
from flows.inlets.job import InletsJob
from flows.kafka.client import KafkaSettings, admin, bounds, consumer
from flows.kafka.reading import read_range
from flows.letters import Wanted, read_letters
from flows.logs.kafka import KafkaLog, KafkaSource
from flows.route import RouteJob
from flows.settings import Settings, load_settings
from flows.track import TrackJob
from flows.vault.opening import existing_vault
from schemas.topics import LogOf
from tests.support.broker import MockBroker
from tests.support.command_line import run
from tests.support.hooks import SECRETS, Platform, signed
from tests.support.ingesting import ingest, read
from tests.support.jobs import configured

NAME, PHONE, STREET, MAIL = "Zorblax Quibble", "+49 151 7550199", "Wimpelgasse 77b", "zq@x.example"
CUSTOMER, BUYER = "8812004417", "KD-774-119"
PERSONAL = (NAME, PHONE, STREET, MAIL, CUSTOMER, BUYER)
ORDER, ROW = "5550001001", "R-5550001002"
"""Numbers of orders, which stay."""

ROWS = """
name = "rows"
title = "Orders in a drop folder"
personal = ["name", "phone", "street", "mail"]
[[record]]
type = "order.received"
id = "no"
subject = "no"
time = { value = "2026-03-01T08:00:00Z" }
[record.data]
region = "country"
currency = { value = "EUR" }
customer = { path = "buyer", token = true }
payment = { path = "paid", map = "payments" }
lines = [{ line_no = { value = 1 }, sku = "sku", qty = "pieces" }]
[maps.payments]
yes = "authorised"
"""


@pytest.fixture
def config(mock: MockBroker, mocked: KafkaSettings, tmp_path: Path) -> Path:
    """Settings with two channels that are sealed: a shop that posts, a folder."""
    (tmp_path / "master").write_bytes(b64encode(b"m" * 32))
    (tmp_path / "rows.toml").write_text(ROWS)
    (tmp_path / "in").mkdir()
    file = configured(mocked, tmp_path, 'customer_secret = "of the tests"')
    ways = {
        "shop": 'mapping = "shopify"\nsignature = { scheme = "shopify", secret_env = "SHOP" }',
        "rows": f'mapping = "{tmp_path}/rows.toml"\n'
        f'folder = {{ path = "{tmp_path}/in", refused = "{tmp_path}/refused", settle_seconds = 0 }}',
    }
    with file.open("a") as text:
        text.write(f'[vault]\nfile = "{tmp_path}/vault.sqlite"\n')
        text.write(f'master_key_file = "{tmp_path}/master"\n[hooks]\nport = 0\n')
        for name, way in ways.items():
            mock.topic(f"{mocked.group}.{name}", 1)
            text.write(f'[channels.{name}]\ntopic = "{mocked.group}.{name}"\nsealed = true\n')
            text.write(f'tenant = "acme"\nnetwork = "eu"\n{way}\n')
    return file


def an_order(**changes: Any) -> bytes:
    """What Shopify posts of an order."""
    first, last = NAME.split()
    address = {
        "first_name": first, "last_name": last, "name": NAME, "address1": STREET, "phone": PHONE,
        "city": "Bonn", "zip": "53111", "country_code": "DE",
    }  # fmt: skip
    plain = {
        "id": int(ORDER),
        "created_at": "2026-03-01T08:00:00Z",
        "updated_at": "2026-03-01T08:00:00Z",
        "cancelled_at": None,
        "financial_status": "paid",
        "fulfillment_status": None,
        "currency": "EUR",
        "email": MAIL,
        "note": f"ring for {NAME}",
        "customer": {
            "id": int(CUSTOMER),
            "email": MAIL,
            "phone": PHONE,
            "default_address": address,
        },
        "shipping_address": address,
        "billing_address": address,
        "line_items": [{"sku": "S1", "quantity": 2, "grams": 300, "price": "12.50"}],
    }
    return json.dumps(plain | changes).encode()


SHIPPED = {
    "id": 77, "order_id": int(ORDER), "status": "success", "created_at": "2026-03-02T08:00:00Z",
    "updated_at": "2026-03-02T08:00:00Z", "tracking_numbers": ["SF1"], "tracking_company": "K1",
    "destination": {"name": NAME, "phone": PHONE}, "shipment_status": None,
}  # fmt: skip
POSTED = [
    an_order(),
    an_order(id=5550001009, financial_status="perplexed"),
    an_order(id=5550001010, customer=None, financial_status="perplexed"),
    json.dumps({"complaint": f"{NAME}, {STREET}: call {PHONE} or {MAIL}"}).encode(),
    json.dumps({"fulfillment": SHIPPED}).encode(),
]
PUT = "no,country,paid,sku,pieces,buyer,name,phone,street,mail\n" + "".join(
    f"{no},DE,{paid},S1,1,{BUYER},{NAME},{PHONE},{STREET},{MAIL}\n"
    for no, paid in ((ROW, "yes"), ("R-2", "perhaps"))
)


def comes_in(settings: Settings, kafka: KafkaSettings, folder: Path) -> None:
    """All of it, by the two ways."""
    job = HooksJob(settings, kafka, Guard())
    receiving = threading.Thread(target=job.run)
    receiving.start()
    platform = Platform(job.address)
    answers = [platform.post("shop", signed(Scheme.SHOPIFY, payload)) for payload in POSTED]
    platform.close()
    job.guard.stop()
    receiving.join()
    assert [answer.status for answer in answers] == [200] * len(POSTED)
    (folder / "in" / "orders.csv").write_text(PUT)
    InletsJob(settings, kafka, Guard()).run_once()


def goes_through(settings: Settings, kafka: KafkaSettings, lake: Path) -> None:
    """To journal and tracking log, and from there into the lake."""
    shop, rows = (settings.channels[name].topic for name in ("shop", "rows"))
    is_read = read(shop, len(POSTED)), read(rows, 2)
    ingest(kafka, settings, lambda job: all(one(job) for one in is_read))
    journal, tracking = (
        KafkaLog(kafka, kafka.journal),
        KafkaLog(kafka, kafka.tracking, LogOf.TRACKING),
    )
    routing = RouteJob.open(journal, lake, settings=settings, tracking=kafka)
    ends = {p: journal.end(p) for p in routing.starts}
    run_fold(KafkaSource(journal, routing.starts, ends=ends, guard=routing.guard), routing)
    job = TrackJob.open(tracking, lake, settings=settings)
    ends = {p: tracking.end(p) for p in job.starts}
    run_fold(KafkaSource(tracking, job.starts, ends=ends, guard=job.guard), job)


def kept(kafka: KafkaSettings, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Everything that is kept: (topic or kind of file, content)."""
    client = consumer(kafka, "search")
    for topic, about in admin(kafka).list_topics(timeout=10).topics.items():
        for partition in about.partitions:
            first, end = bounds(kafka, client, topic, partition)
            for message in read_range(kafka, client, (topic, partition), first, end):
                headers = repr(message.headers()).encode()
                yield topic, b"\n".join([message.key() or b"", message.value() or b"", headers])
    client.close()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        kind = f"{file.relative_to(folder).parts[0]}{file.suffix}"
        yield kind, str(file).encode() + file.read_bytes()
        if file.suffix == ".parquet":
            yield kind, repr(pq.read_table(file).to_pydict()).encode()


def forms(text: str) -> Iterator[bytes]:
    """As it is, and as Base64 has it wherever it begins."""
    yield text.encode()
    for before in range(3):
        whole = b64encode(b"-" * before + text.encode() + b"-" * 3)
        yield whole[-(-before * 4 // 3) + 1 : -5]


def found(texts: tuple[str, ...], things: list[tuple[str, bytes]]) -> set[str]:
    """Where any of these texts can be read."""
    wanted = [form for text in texts for form in forms(text)]
    return {where for where, content in things if any(form in content for form in wanted)}


def command(*words: str | Path) -> str:
    done = run(*words)
    assert done.exit_code == 0, done.output
    return done.output


def test_after_a_purge_a_person_is_nowhere_and_what_is_sealed_still_verifies(
    mocked: KafkaSettings, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("SHOP", SECRETS[Scheme.SHOPIFY])
    settings, lake = load_settings(config), tmp_path / "lake"
    comes_in(settings, mocked, tmp_path)
    goes_through(settings, mocked, lake)
    logged = "".join(capfd.readouterr())
    command("lake", "maintain", "--lake", lake)
    command("audit", "seal", "--lake", lake)
    shop, rows = (settings.channels[name].topic for name in ("shop", "rows"))
    with existing_vault(settings) as vault:
        before = [(where, vault.opened(content)) for where, content in kept(mocked, tmp_path)]
    assert found(PERSONAL, before) == {shop, rows, mocked.dead_letters}, "it came, and has a key"
    assert {letter.reason for letter in read_letters(mocked, Wanted())} == {
        "UNMAPPED",
        "UNRECOGNISED",
    }

    of_order = (
        f"SELECT unnest(provenance, recursive := true) FROM order_360 WHERE order_id = '{ORDER}'"
    )
    told = json.loads(command("sql", of_order, "--lake", lake, "--json"))
    places = {one["fields"]: f"{one['partition']}/{one['position']}" for one in told}
    raw = ("channel", "raw", "--config", config, "--open")
    assert POSTED[0].decode() in command(*raw, places["plan"]), "from a fact to what the shop sent"
    assert POSTED[-1].decode() in command(*raw, places["parcels"])

    for channel, *whose in (
        ("shop", "--customer", CUSTOMER), ("rows", "--customer", BUYER), ("shop", "--known-by", MAIL),
        ("shop", "--unknown", "0"),
    ):  # fmt: skip
        assert "gone" in command(
            "vault", "purge", "--config", config, "--channel", channel, *whose, "--yes"
        )
    things = list(kept(mocked, tmp_path))
    with existing_vault(settings) as vault:
        after = [(where, vault.opened(content)) for where, content in things]

    assert "null" in command(*raw, places["plan"])
    assert found(PERSONAL, things) == found(PERSONAL, after) == set()
    assert found(PERSONAL, [("log", logged.encode())]) == set()
    assert found((ORDER, ROW), things) >= {
        mocked.journal, mocked.tracking, "lake.parquet", "lake.sqlite", "lake.checkpoint",
    }, "the search sees what is there"  # fmt: skip
    assert "as it was sealed" in command("audit", "verify", "--lake", lake)
