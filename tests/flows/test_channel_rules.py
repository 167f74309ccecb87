"""What mapping files say beyond paths: what is no record, codes, units, lists, and what a record is like."""

import json
import re
from typing import Any

import pytest

from flows.channels.engine import Channel, Mapped
from flows.channels.mapping import parse_mapping, with_maps
from flows.channels.values import FieldError
from schemas.codes import DeadLetterReason
from tests.support.channels import BINDING, ROOT

FILE = """
name = "rules"
title = "Every rule once"
unwrap = ["page", "page.orders", "more"]

[[record]]
type = "order.received"
when = "p.items is not null and revision_of(p.made, p.changed) = 1"
id = { sql = "p.no || '@' || p.changed" }
subject = "no"
time = "made"
[record.data]
region = { path = "land", map = "lands" }
channel = { path = "shop", map = "shops" }
currency = { path = "money", map = "moneys" }
revision = { sql = "revision_of(p.made, p.changed)" }
[record.data.lines]
each = "items"
when = "e.n is distinct from '0'"
line_no = { sql = "i" }
sku = ".sku"
qty = ".n"
unit_price_minor = { path = ".cents", unit = "minor" }

[[record]]
type = "order.amended"
like = "order.received"
when = "p.items is not null and revision_of(p.made, p.changed) > 1"
id = { sql = "p.no || '@' || p.changed" }
subject = "no"
time = "changed"
[record.data]
tier = { value = "changed" }

[[record]]
type = "inventory.counted"
when = "p.left is not null"
id = "no"
subject = "shop"
time = "made"
[record.data]
items = [{ sku = "sku", on_hand = "left" }, { sku = { sql = "p.sku || '-B'" }, on_hand = { value = 0 } }]

[[record]]
type = "shipment.milestone"
each = { sql = "string_split(p.parcels, ' ')" }
id = { sql = "p.no || '/' || e" }
subject = "no"
time = "made"
[record.data]
milestone = { value = "handed_over" }
package = { sql = "e || '#' || i" }

[[refuse]]
when = "p.ping is not null"
why = "a ping"
[[refuse]]
when = "p.draft is not null"
why = "a draft"
quiet = true

[maps.lands]
Germany = "DE"
[maps.shops]
web = "online"
"*" = "*"
[maps.moneys]
Yen = "JPY"
"*" = "EUR"
"""
AT = "2024-01-02T03:04:05Z"


@pytest.fixture(scope="module")
def channel() -> Channel:
    return Channel(parse_mapping(FILE, "rules.toml"), BINDING)


def order(**other: Any) -> dict[str, Any]:
    items = [{"sku": "S1", "n": 2, "cents": 1250}]
    said = {"no": 7, "made": AT, "changed": AT, "land": "Germany", "money": "Euro", "items": items}
    return said | other


def take(channel: Channel, *payloads: Any) -> Mapped:
    return channel.take([json.dumps(payload).encode() for payload in payloads])


def records(channel: Channel, *payloads: Any) -> list[dict[str, Any]]:
    return [json.loads(record.line) for record in take(channel, *payloads).records]


def test_what_is_known_to_be_no_record_is_said_so_or_passed_over(channel: Channel) -> None:
    made = take(channel, {"ping": 1}, {"draft": 1}, {"other": 1}, order(ping=1))

    assert [(t.payload, t.reason, t.detail) for t in made.troubles] == [
        (0, DeadLetterReason.UNRECOGNISED, "a ping"),
        (2, DeadLetterReason.UNRECOGNISED, "no record of the mapping is in it"),
    ]
    assert made.passed_over == [(1, "a draft")]
    assert [record.payload for record in made.records] == [3]


def test_a_piece_without_a_record_is_named_beside_those_that_have_one(channel: Channel) -> None:
    made = take(channel, [order(), {"other": 1}, {"draft": 1}])

    assert len(made.records) == 1
    assert [t.detail for t in made.troubles] == ["no record of the mapping is in it"]
    assert made.passed_over == [(0, "a draft")]


def test_all_envelopes_are_opened_and_of_one_in_another_the_inner_one(channel: Channel) -> None:
    nested = {"page": {"orders": [order(no=1), order(no=2)], "next": "x"}, "more": order(no=3)}

    made = records(channel, nested, {"page": order(no=4)}, [order(no=5)], {"more": []})

    assert [one["subject"] for one in made] == ["1", "2", "3", "4", "5"]


def test_a_code_is_what_its_table_says_or_what_the_table_says_of_others(channel: Channel) -> None:
    (known,) = records(channel, order(shop="web", money="Yen"))
    (other,) = records(channel, order(shop="kiosk", money="Franc"))

    assert [(one["data"]["channel"], one["data"]["currency"]) for one in (known, other)] == [
        ("online", "JPY"),
        ("kiosk", "EUR"),
    ]


def test_a_code_of_no_table_is_refused_with_both_names(channel: Channel) -> None:
    (trouble,) = take(channel, order(land="Atlantis")).troubles

    assert trouble == (
        0,
        DeadLetterReason.UNMAPPED,
        "data.region: Atlantis is no code of maps.lands",
    )


def test_a_users_codes_stand_before_those_of_the_file() -> None:
    mapping = with_maps(
        parse_mapping(FILE, "rules.toml"), {"lands": {"Atlantis": "AT", "Germany": "D"}}
    )

    made = records(Channel(mapping, BINDING), order(land="Atlantis"), order(land="Germany"))

    assert [one["data"]["region"] for one in made] == ["AT", "D"]


def test_amounts_in_minor_units_stay_what_they_are(channel: Channel) -> None:
    (made,) = records(channel, order(money="Yen"))
    (trouble,) = take(channel, order(items=[{"sku": "S1", "n": 1, "cents": "12.5"}])).troubles

    assert made["data"]["lines"][0]["unit_price_minor"] == 1250
    assert trouble.detail == "data.lines.unit_price_minor: 12.5 is no whole number"


def test_what_is_personal_is_not_said_of_a_code_that_is_refused_though_it_was_worked_out() -> None:
    text = FILE.replace("unwrap =", 'personal = ["land"]\nunwrap =')
    worked_out = text.replace('{ path = "land", map', '{ sql = "upper(p.land)", map')

    (trouble,) = take(Channel(parse_mapping(worked_out, "rules.toml"), BINDING), order()).troubles

    assert trouble.detail == "data.region: a value is no code of maps.lands"


def test_a_line_that_is_left_out_leaves_the_numbers_of_the_others(channel: Channel) -> None:
    (made,) = records(channel, order(items=[{"sku": "S1", "n": 0}, {"sku": "S2", "n": 1}]))
    (trouble,) = take(channel, order(items=[{"n": 0}])).troubles

    assert [(line["line_no"], line["sku"]) for line in made["data"]["lines"]] == [(2, "S2")]
    assert trouble.detail == "data.lines: missing"


def test_a_record_has_what_the_one_that_it_is_like_has(channel: Channel) -> None:
    (first,) = records(channel, order())
    (second,) = records(channel, order(changed="2024-01-02T03:05:05Z"))

    assert (second["type"], second["data"].pop("tier")) == ("order.amended", "changed")
    assert second["data"] == first["data"] | {"revision": 61}


def test_a_list_may_be_written_out(channel: Channel) -> None:
    (made,) = records(channel, {"no": 1, "shop": "N1", "made": AT, "sku": "S1", "left": 4})

    assert made["data"]["items"] == [{"sku": "S1", "on_hand": 4}, {"sku": "S1-B", "on_hand": 0}]


def test_records_may_be_of_the_elements_of_an_expression(channel: Channel) -> None:
    made = records(channel, {"no": 1, "made": AT, "parcels": "A B"})

    assert [one["data"]["package"] for one in made] == ["A#1", "B#2"]


def test_amounts_and_times_beyond_all_bounds_are_refused_not_rounded(channel: Channel) -> None:
    items = [{"sku": "S1", "n": "9" * 30, "cents": "1e300"}]

    (trouble,) = take(
        channel, order(made="99999-01-01", changed="99999-01-01", items=items)
    ).troubles

    assert trouble.reason is DeadLetterReason.UNMAPPED
    assert all(f"{name}: " in trouble.detail for name in ("time", "data.lines.qty"))


def test_one_payload_that_is_no_json_leaves_all_others(channel: Channel) -> None:
    good = json.dumps(order()).encode()

    made = channel.take([good, b"{", good, good, b"nonsense"])

    assert [record.payload for record in made.records] == [0, 2, 3]
    assert [(t.payload, t.reason) for t in made.troubles] == [
        (1, DeadLetterReason.SCHEMA_INVALID),
        (4, DeadLetterReason.SCHEMA_INVALID),
    ]


def test_a_record_like_none_above_is_refused() -> None:
    mapping = parse_mapping(
        FILE.replace('like = "order.received"', 'like = "order.cancelled"'), "rules.toml"
    )

    with pytest.raises(FieldError, match=r"no record of type 'order\.cancelled' above"):
        Channel(mapping, BINDING)


def test_the_example_of_the_documentation_is_a_mapping() -> None:
    text = (ROOT / "flows/channels/README.md").read_text(encoding="utf-8")
    example = re.search(r"```toml\n(name = .*?)```", text, re.DOTALL)
    assert example is not None
    bought = {
        "no": "A7",
        "ordered": "2024-07-01 10:00",
        "changed": "2024-07-01 10:01",
        "state": "paid",
    }
    lines = [
        {
            "kind": "goods",
            "article": "MUG",
            "pieces": 2,
            "weight": "0.4",
            "price": "12.50",
            "note": "for Jo",
        },
        {"kind": "voucher", "article": "V10", "pieces": 1},
    ]
    order = bought | {
        "currency": "EUR",
        "ship_to": {"country": "DE"},
        "buyer": {"number": 5},
        "lines": lines,
    }

    channel = Channel(parse_mapping(example[1], "README.md"), BINDING)
    (made,) = records(channel, {"data": {"orders": [order]}})

    assert made["id"].startswith("A7@2024-07-01 10:01~")
    assert made["time"] == "2024-07-01T08:00:00.000000Z"
    assert made["data"]["lines"] == [
        {"line_no": 1, "sku": "MUG", "qty": 2, "weight_g": 400, "unit_price_minor": 1250}
    ]
    assert (made["data"]["payment"], made["data"]["revision"]) == ("authorised", 61)
    assert take(channel, {"ping": 1}).passed_over == [(0, "a ping")]
