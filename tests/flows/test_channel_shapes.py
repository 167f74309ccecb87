"""Shapes that payloads come in (histories, arrays in arrays, forms, JSON as a text); what fields can hold."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from flows.channels.engine import NOTHING, Binding, Channel, Mapped
from flows.channels.mapping import parse_mapping
from flows.channels.values import FieldError
from schemas.codes import DeadLetterReason
from schemas.errors import InputError

BINDING = Binding(source="carrier-1", tenant="acme", network="eu", secret=b"of the tests")
CARRIER = """
name = "carrier"
title = "A carrier"

[[record]]
type = "shipment.milestone"
each = "scans"
xref = "tracking"
id = { sql = "p.no || '/' || i" }
subject = "no"
time = ".at"
[record.data]
milestone = { path = ".code", map = "milestones" }

[maps.milestones]
M = "scanned"
D = "delivered"
note = ""
"""
SCANS = [{"at": "2026-03-02T08:00:00Z", "code": "D"}, {"at": "2026-03-01T08:00:00Z", "code": "M"}]
STOCK = """
name = "stock"
title = "Stock"

[[record]]
type = "inventory.counted"
id = "id"
subject = "node"
time = "at"
[record.data.items]
each = "items"
sku = { sql = "upper(e.sku) || '-' || i" }
on_hand = { path = ".n" }
"""


def channel(text: str, *changes: tuple[str, str]) -> Channel:
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return Channel(parse_mapping(text, "carrier.toml"), BINDING)


def mapped(to: Channel, *payloads: Any) -> Mapped:
    return to.take([p if isinstance(p, bytes) else json.dumps(p).encode() for p in payloads])


def made(to: Channel, *payloads: Any) -> list[dict[str, Any]]:
    result = mapped(to, *payloads)
    assert result.troubles == []
    return [json.loads(record.line) for record in result.records]


def test_a_history_that_is_newest_first_becomes_records_from_the_oldest() -> None:
    history = channel(CARRIER, ('each = "scans"', 'each = "scans"\nnewest_first = true'))

    records = made(history, {"no": "T1", "scans": SCANS})

    assert [(r["id"], r["data"]["milestone"]) for r in records] == [
        ("T1/1", "scanned"),
        ("T1/2", "delivered"),
    ]


def test_a_code_that_stands_for_nothing_leaves_its_record_out_and_is_no_trouble() -> None:
    scans = [SCANS[1] | {"code": "note"}, SCANS[0]]

    result = mapped(
        channel(CARRIER), {"no": "T1", "scans": scans}, {"no": "T2", "scans": scans[:1]}
    )

    assert result.troubles == []
    assert [json.loads(record.line)["id"] for record in result.records] == ["T1/2"]
    assert result.passed_over == [(1, NOTHING)]


def test_a_code_that_no_table_knows_is_refused_beside_one_that_stands_for_nothing() -> None:
    result = mapped(channel(CARRIER), {"no": "T1", "scans": [SCANS[0] | {"code": "?"}]})

    assert [t.detail for t in result.troubles] == [
        "data.milestone: ? is no code of maps.milestones"
    ]


@pytest.mark.parametrize("ours", ["deliverd", "DELIVERED", " "])
def test_a_table_cannot_become_a_code_that_there_is_not(ours: str) -> None:
    with pytest.raises(FieldError, match="is none of packed, handed_over") as wrong:
        channel(CARRIER, ('D = "delivered"', f'D = "{ours}"'))

    assert wrong.value.field == "maps.milestones.D"


def test_a_code_that_is_taken_as_it_is_must_be_one() -> None:
    plain = channel(CARRIER, ('{ path = ".code", map = "milestones" }', '".code"'))

    result = mapped(
        plain, {"no": "T1", "scans": [SCANS[0] | {"code": c} for c in ("lost", "gone")]}
    )

    assert [json.loads(record.line)["data"]["milestone"] for record in result.records] == ["lost"]
    assert [t.detail for t in result.troubles] == ["data.milestone: gone is no Milestone"]


PARCELS = (
    ('each = "scans"', 'each = "parcels[].scans"'),
    ("p.no || '/' || i", "o.nr || '/' || i"),
    ('subject = "no"', 'subject = { sql = "o.nr" }'),
)


def test_arrays_in_the_elements_of_an_array_are_opened_in_their_order() -> None:
    parcels = [
        {"nr": "B", "scans": SCANS},
        {"nr": "C", "scans": []},
        {"nr": "A", "scans": SCANS[:1]},
    ]

    records = made(channel(CARRIER, *PARCELS), {"parcels": parcels}, {"parcels": parcels[2:]})

    assert [r["id"] for r in records] == ["B/1", "B/2", "A/1", "A/1"]
    assert records[2]["xref"] == "tracking:A"


def test_arrays_are_not_opened_three_deep() -> None:
    with pytest.raises(FieldError, match="more than an array in the elements of another"):
        channel(CARRIER, ('each = "scans"', 'each = "a[].b[].scans"'))


def test_the_sql_of_an_array_in_a_record_sees_its_own_elements() -> None:
    nodes = channel(STOCK, ('id = "id"', 'each = "nodes"\nid = ".id"'), ('"node"', '".node"'),
                    ('time = "at"', 'time = ".at"'), ('each = "items"', 'each = ".items"'))  # fmt: skip
    node = {"id": 7, "node": "HAM", "at": "2026-03-01T08:00:00Z"}

    records = made(
        nodes, {"nodes": [node | {"items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]}]}
    )

    assert [one["sku"] for one in records[0]["data"]["items"]] == ["A-1", "B-2"]


def test_a_form_holds_the_payload_in_one_of_its_fields() -> None:
    form = channel(CARRIER, ("title =", 'form_field = "param"\ntitle ='))
    payload = {"no": "T 1+2&3=快递", "scans": SCANS[:1]}
    sent = urlencode({"sign": "param=0", "param": json.dumps(payload, ensure_ascii=False)}).encode()

    records = made(form, sent, payload)

    assert [r["xref"] for r in records] == ["tracking:T 1+2&3=快递"] * 2


@pytest.mark.parametrize(
    "bad", [b"sign=1", b"param=", b"param=%FF%FE", b"param=%7B", b"xparam=%7B%7D", b"\0"]
)
def test_a_form_without_a_payload_fails_alone(bad: bytes) -> None:
    form = channel(CARRIER, ("title =", 'form_field = "param"\ntitle ='))

    result = mapped(form, {"no": "T1", "scans": SCANS}, bad, {"no": "T2", "scans": SCANS})

    assert {record.payload for record in result.records} == {0, 2}
    assert [(t.payload, t.reason) for t in result.troubles] == [
        (1, DeadLetterReason.SCHEMA_INVALID)
    ]


@pytest.mark.parametrize("member", [json.dumps(SCANS), SCANS])
def test_json_within_a_text_is_read_like_any_other(member: Any) -> None:
    text = channel(
        CARRIER, ("title =", 'texts = ["body.scans"]\ntitle ='), ('"scans"', '"body.scans"')
    )

    records = made(text, {"no": "T1", "body": {"scans": member}})

    assert [r["id"] for r in records] == ["T1/1", "T1/2"]


def test_a_text_that_is_no_json_is_none() -> None:
    text = channel(
        CARRIER, ("title =", 'texts = ["body.scans"]\ntitle ='), ('"scans"', '"body.scans"')
    )

    result = mapped(
        text, {"no": "T1", "body": {"scans": "["}}, {"no": "T2", "body": None}, {"no": "T3"}
    )

    assert [(t.payload, t.reason.name) for t in result.troubles] == [
        (0, "UNRECOGNISED"), (1, "UNRECOGNISED"), (2, "UNRECOGNISED")
    ]  # fmt: skip


@pytest.mark.parametrize("n", [-1, 1_000_000_001])
def test_a_number_that_its_field_cannot_hold_is_refused(n: int) -> None:
    payload = {
        "id": 1,
        "node": "HAM",
        "at": "2026-03-01T08:00:00Z",
        "items": [{"sku": "a", "n": n}],
    }

    result = mapped(channel(STOCK), payload)

    assert [t.detail for t in result.troubles] == [
        f"data.items.on_hand: {n} is not from 0 to 1000000000"
    ]


def test_a_text_that_its_field_cannot_hold_is_refused() -> None:
    payload = {
        "id": "x" * 129,
        "node": "HAM",
        "at": "2026-03-01T08:00:00Z",
        "items": [{"sku": "a", "n": 1}],
    }

    result = mapped(channel(STOCK), payload)

    (trouble,) = result.troubles
    assert trouble.detail == f"id: {'x' * 60}… is no text of at most 128 characters"


def test_sql_that_fails_on_a_payload_refuses_that_payload() -> None:
    careless = channel(STOCK, ('path = ".n"', 'sql = "e.n::INTEGER"'))
    payload = {"id": 1, "node": "HAM", "at": "2026-03-01T08:00:00Z"}

    result = mapped(careless, *(payload | {"items": [{"sku": "a", "n": n}]} for n in ("four", 4)))

    assert [record.payload for record in result.records] == [1]
    assert [(t.payload, t.reason.name, t.detail) for t in result.troubles] == [
        (0, "UNMAPPED", "SQL of the mapping fails: ConversionException")
    ]


@pytest.mark.parametrize("path", ["a[]b", "[].a", "a..b", "a[0].b"])
def test_a_path_of_arrays_is_read_before_it_counts(path: str) -> None:
    with pytest.raises(InputError, match=r"carrier\.toml:"):
        channel(CARRIER, ('each = "scans"', f'each = "{path}"'))


def test_members_that_differ_in_case_alone_are_refused() -> None:
    with pytest.raises(FieldError, match="'node' and 'NODE' differ in case alone"):
        channel(STOCK, ('id = "id"', 'id = "NODE"'))
