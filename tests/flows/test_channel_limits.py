"""What a payload may take: time and memory grow with its size alone, and what takes more is refused alone."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.channels import engine
from flows.channels.engine import Channel
from flows.channels.mapping import parse_mapping
from flows.channels.values import FieldError
from schemas.codes import DeadLetterReason
from tests.support.channels import BINDING, samples, shipped

SCANS = """
name = "scans"
title = "scans"

[[record]]
type = "shipment.milestone"
each = "parcels[].scans"
newest_first = true
alike = ".at"
xref = "tracking"
id = { sql = "o.no || e.at || k" }
subject = { sql = "o.no" }
time = ".at"
[record.data]
milestone = { value = "scanned" }
package = { sql = "o.no" }
carrier = "carrier"
"""
DATABASE = engine._locked(BINDING)
AT = "2026-03-01T08:00:00Z"


def scans(*counts: int, carrier: str = "dhl", number: str = "T") -> bytes:
    parcels = [{"no": f"{number}{n}", "scans": [{"at": AT}] * c} for n, c in enumerate(counts)]
    return json.dumps({"carrier": carrier, "parcels": parcels}).encode()


def woocommerce() -> list[bytes]:
    return [one.payload for one in samples("woocommerce") if b"line_items" in one.payload]


def kuaidi100(entries: int) -> bytes:
    entry = {"ftime": "2026-03-01 10:00:00", "context": "."}
    result = {"nu": "T1", "com": "sf", "state": "0", "data": [entry] * entries}
    return urlencode({"param": json.dumps({"lastResult": result})}).encode()


def track17(entries: int) -> bytes:
    """Half of the events are those of the origin, as v1 tells them; the others are as v2 does."""
    v1 = {
        "e": 10,
        "w1": 7,
        "z0": None,
        "z1": [{"a": "2026-03-01 10:00"}] * (entries // 2),
        "z2": [],
    }
    provider = {"provider": {"key": 7}, "events": [{"time_utc": AT}] * (entries // 2)}
    v2 = {"tracking": {"providers": [provider]}}
    return json.dumps({"data": {"number": "T1", "track": v1, "track_info": v2}}).encode()


@pytest.mark.parametrize(("name", "payload"), [("kuaidi100", kuaidi100), ("17track", track17)])
def test_a_history_of_many_thousand_entries_is_numbered(name: str, payload: Any) -> None:
    mapped = shipped(name).take([payload(12_000)])

    assert mapped.troubles == []
    ids = [json.loads(record.line)["id"] for record in mapped.records]
    assert len(set(ids)) == 12_000
    assert {"1", "6000"} <= {one.split("/")[-1].split(".")[-1] for one in ids}


@given(st.lists(st.lists(st.sampled_from("abü "), max_size=4).map("".join), max_size=40))
def test_equals_are_numbered_in_their_order(texts: list[str]) -> None:
    (numbers,) = DATABASE.execute("SELECT among_equals(?::VARCHAR[])", [texts]).fetchone() or ((),)

    assert numbers == [texts[: n + 1].count(said) for n, said in enumerate(texts)]


def test_what_is_said_once_is_not_repeated_without_an_end() -> None:
    channel = Channel(parse_mapping(SCANS, "s.toml"), BINDING)
    payloads = [
        scans(2_000, carrier="x" * 100_000),
        scans(3, 2),
        scans(1, 2_000, number="x" * 100_000),
    ]

    mapped = channel.take(payloads)

    assert [(t.payload, t.reason) for t in mapped.troubles] == [
        (0, DeadLetterReason.TOO_LARGE),
        (2, DeadLetterReason.TOO_LARGE),
    ]
    assert "its elements would repeat what it says once" in mapped.troubles[0].detail
    assert [record.payload for record in mapped.records] == [1] * 5


def test_an_order_of_many_lines_is_an_order_however_it_is_read() -> None:
    line = {
        "product_id": 1,
        "sku": "A",
        "name": "x" * 200,
        "quantity": 1,
        "price": 2.5,
        "total": "2.50",
    }
    order = json.loads(woocommerce()[0])
    order["line_items"] = [order["line_items"][0] | line | {"id": n} for n in range(2_000)]

    mapped = shipped("woocommerce").take([json.dumps(order).encode()])

    assert mapped.troubles == []
    assert len(json.loads(mapped.records[0].line)["data"]["lines"]) == 2_000

    order["currency"] = "EUR" * 50_000
    (trouble,) = shipped("woocommerce").take([json.dumps(order).encode()]).troubles

    assert trouble.reason is DeadLetterReason.TOO_LARGE


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("o.no || e.at || k", "o.no || len(list_filter(o.scans[-i:], lambda x: x.at = e.at))"),
        ('carrier = "carrier"', 'carrier = { sql = "p.parcels[1].no" }'),
        ('carrier = "carrier"', 'carrier = { sql = "len(to_json(p))" }'),
        ("type = ", 'when = "len(list_filter(p.parcels, lambda x: x in p.parcels)) > 0"\ntype = '),
    ],
)
def test_sql_that_reads_an_array_for_each_of_its_elements_is_refused(
    before: str, after: str
) -> None:
    assert before in SCANS

    with pytest.raises(FieldError, match="which is or has an array, again and again"):
        Channel(parse_mapping(SCANS.replace(before, after, 1), "s.toml"), BINDING)


def test_the_length_of_an_array_may_be_asked_for_each_of_its_elements() -> None:
    mapping = SCANS.replace(
        'carrier = "carrier"', "carrier = { sql = \"i || '/' || len(o.scans)\" }"
    )

    (record, _) = Channel(parse_mapping(mapping, "s.toml"), BINDING).take([scans(2)]).records

    assert json.loads(record.line)["data"]["carrier"] == "1/2"


def test_a_payload_that_takes_too_much_memory_is_refused_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "MEMORY_LIMIT", "48MiB")
    mapping = SCANS.replace('"o.no || e.at || k"', '"repeat(o.no, 40) || e.at || k"')
    channel = Channel(parse_mapping(mapping, "s.toml"), BINDING)
    payloads = [scans(2)] * 40
    payloads[17] = scans(9_000, number="T" * 100)

    mapped = channel.take(payloads)

    assert [(t.payload, t.reason, t.detail) for t in mapped.troubles] == [
        (17, DeadLetterReason.TOO_LARGE, "reading it takes more than 48MiB")
    ]
    assert len(mapped.records) == 39 * 2


def test_cutting_a_batch_by_its_bytes_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    channel = shipped("woocommerce")
    payloads = [*woocommerce(), b"{}", b"no JSON", *woocommerce()]
    whole = channel.take(payloads)

    monkeypatch.setattr(engine, "BATCH_BYTES", 3_000)

    assert channel.take(payloads) == whole
