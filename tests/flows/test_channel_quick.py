"""The quick statement of a mapping: what it makes is what the whole one makes, whatever a payload says."""

import copy
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.channels.engine import Channel, Mapped
from flows.channels.mapping import parse_mapping
from flows.channels.quick import is_quick
from schemas.codec import Refusal
from schemas.orders import OrderReceived
from tests.support.channels import BINDING, FILES, samples, shipped

ODD: list[Any] = [
    None, "", "x", "0", "-1", 2.5, "2.50", "12.505", "1e3", 1e300, 99999999999999999999, True, "yes",
    [], {}, [1], 5_001, 1_000_000, 1_000_001, 10**12 + 1, "eur", "a/b", "l" * 129, "\\u0000",
    "2026-02-30T00:00:00Z", "2026-11-25", "2026-11-25 10:00", "9999-12-31T23:59:59Z", "0050-01-01T00:00:00Z",
    "l" * 300, "zł\u0000",
]  # fmt: skip
"""What a member may turn out to be."""


@cache
def both_ways(name: str) -> tuple[Channel, Channel]:
    """A channel as it is, and one that has the whole statement only."""
    whole = shipped(name)
    whole._has_quick = False
    return shipped(name), whole


NAMES = [name for name in FILES if is_quick(shipped(name).mapping)]
OBJECTS = {
    name: [decoded for one in samples(name) if isinstance(decoded := json.loads(one.payload), dict)]
    for name in NAMES
}


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every member of a payload: what holds it, and its key."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


@st.composite
def disturbed(draw: st.DrawFn, name: str) -> list[bytes]:
    """Samples of a channel, with odd members."""
    read = {
        part for path in both_ways(name)[0].statement.paths for part in re.split(r"[.\[\]]+", path)
    }
    payloads = []
    for sample in draw(st.lists(st.sampled_from(OBJECTS[name]), min_size=1, max_size=4)):
        odd = copy.deepcopy(sample)
        for value in draw(st.lists(st.sampled_from(ODD), max_size=2)):
            of_use = [place for place in places(odd) if place[1] in read]
            holder, key = draw(st.sampled_from(of_use or [(odd, "id")]))
            many = holder[key] if isinstance(holder[key], list) else []
            holder[key] = many * 2 if many and draw(st.booleans()) else value
        payloads.append(json.dumps(odd).encode())
    return payloads


STRICT = """
name = "strict"
title = "Everything that a decoder may refuse"
[[record]]
type = "order.received"
id = "id"
subject = "no"
time = "made"
network = "network"
[record.data]
region = "region"
currency = "money"
revision = "revision"
payment = "payment"
requested_by = "by"
no_split = "whole"
[record.data.lines]
each = "items"
line_no = ".n"
sku = ".sku"
qty = ".qty"
"""
LINE = {"n": 1, "sku": "S1", "qty": 2}
SOUND: dict[str, Any] = {
    "id": "1", "no": "1", "made": "2026-01-05T08:00:00Z", "network": "n", "region": "r", "money": "EUR",
    "revision": 1, "payment": "failed", "whole": True, "items": [LINE, {**LINE, "n": 2}],
}  # fmt: skip


@cache
def strict() -> Channel:
    return Channel(parse_mapping(STRICT, "strict.toml"), BINDING)


def said(mapped: Mapped) -> tuple[Any, ...]:
    """All of it; records as what they hold."""
    records = [(r.payload, r.kind, json.loads(r.line)) for r in mapped.records]
    return records, mapped.troubles, sorted(mapped.passed_over)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_made_quickly_is_what_the_whole_statement_makes(
    name: str, data: st.DataObject
) -> None:
    quick, whole = both_ways(name)
    payloads = data.draw(disturbed(name))

    made = quick.take(payloads)

    assert said(made) == said(whole.take(payloads))
    sound = [record.decoded() for record in made.records if record.is_sound]
    assert [one for one in sound if isinstance(one, Refusal)] == []


@pytest.mark.parametrize("name", ["marketplace-cn", "iot-reorder", "woocommerce"])
def test_an_order_with_which_nothing_is_wrong_needs_no_second_look(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    channel, (order, *_) = shipped(name), samples(name)
    monkeypatch.setattr(channel, "_take_whole", lambda *_: pytest.fail("looked at twice"))

    assert [record.payload for record in channel.take([order.payload] * 3).records] == [0, 1, 2]


def test_a_record_that_says_all_there_is_to_say_well_needs_no_decoder() -> None:
    (record,) = strict().take([json.dumps(SOUND).encode()]).records

    assert record.is_sound
    assert isinstance(record.decoded(), OrderReceived)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("id", "l" * 129), ("no", "a\u0000"), ("made", "0001-01-01T00:00:00Z"), ("network", "a/b"),
        ("region", "l" * 129), ("money", "eur"), ("money", "EURO"), ("revision", 0), ("revision", 1_000_001),
        ("payment", "paid"), ("by", "soon"), ("whole", "perhaps"), ("items", []), ("items", [LINE, LINE]),
        ("items", [{**LINE, "n": n} for n in range(1, 5_002)]), ("items", [{**LINE, "qty": 1_000_001}]),
        ("items", [{**LINE, "sku": ""}]), ("items", [{**LINE, "sku": "l" * 129}]), ("items", None),
    ],
)  # fmt: skip
def test_a_record_of_which_anything_is_refused_is_not_vouched_for(member: str, value: Any) -> None:
    made = strict().take([json.dumps({**SOUND, member: value}).encode()])

    assert [record for record in made.records if record.is_sound] == []


NAMES_OF_OURS = [
    "seq", "N", "n", "i", "p", "e", "o", "place", "units", "kind", "line", "raw", "payloads",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES_OF_OURS)
def test_a_member_may_have_any_name(name: str) -> None:
    text = f"""
        name = "till"
        title = "A till"
        personal = ["{name}"]
        [[record]]
        type = "order.received"
        when = "p.{name} <> 'x'"
        id = "{name}"
        subject = "{name}"
        time = {{ value = "2026-03-01T08:00:00Z" }}
        [record.data]
        region = "country"
        currency = {{ value = "JPY" }}
        customer = {{ path = "{name}", token = true }}
        lines = [{{ line_no = {{ value = 1 }}, sku = "sku", qty = "{name}", unit_price_minor = "price" }}]
    """
    channel = Channel(parse_mapping(text, "till.toml"), BINDING)
    payload = json.dumps({name: "7", "country": "JP", "sku": "S", "price": "120"}).encode()

    mapped = channel.take([payload])

    (record,) = [json.loads(one.line) for one in mapped.records]
    (line,) = record["data"]["lines"]
    assert record["id"].startswith("7~")
    assert (line["qty"], line["unit_price_minor"]) == (7, 120)
    assert channel.customers([payload]) == [record["data"]["customer"]]


HISTORY = """
name = "history"
title = "Payments, the newest first"
[[record]]
type = "payment.updated"
each = "log"
newest_first = true
id = { sql = "p.no || '/' || i" }
subject = "no"
time = ".at"
data = { state = ".state" }
"""


def test_a_history_that_is_newest_first_is_told_from_the_oldest() -> None:
    told = [{"at": f"2026-01-0{day}T08:00:00Z", "state": "failed"} for day in (3, 2, 1)]
    history = Channel(parse_mapping(HISTORY, "history.toml"), BINDING)

    records = history.take([json.dumps({"no": "1", "log": told}).encode()] * 2).records

    assert all(record.is_sound for record in records)
    said = [(event["id"], event["time"][:10]) for event in (json.loads(r.line) for r in records)]
    assert said == [(f"1/{day}", f"2026-01-0{day}") for day in (1, 2, 3)] * 2


PLACES = """
name = "places"
title = "Numbers of elements, converted"
[[record]]
type = "order.received"
id = "id"
subject = "id"
time = "made"
[record.data]
region = "region"
currency = "money"
[record.data.lines]
each = "items"
line_no = { sql = "i" }
sku = ".sku"
qty = { sql = "i", map = "parts" }
weight_g = { sql = "i", unit = "kg" }
unit_price_minor = { sql = "i" }
[maps.parts]
1 = "7"
2 = "9"
"""


def test_the_number_of_an_element_is_converted_like_any_other() -> None:
    channel = Channel(parse_mapping(PLACES, "places.toml"), BINDING)

    (record,) = channel.take([json.dumps(SOUND).encode()]).records

    lines = json.loads(record.line)["data"]["lines"]
    assert [line["line_no"] for line in lines] == [1, 2]
    assert [line["qty"] for line in lines] == [7, 9]
    assert [line["weight_g"] for line in lines] == [1000, 2000]
    assert [line["unit_price_minor"] for line in lines] == [100, 200]


WRITTEN_OUT = """
name = "two"
title = "Two lines that the mapping writes out"
[[record]]
type = "order.received"
id = "id"
subject = "id"
time = "made"
[record.data]
region = "region"
lines = [
    { line_no = { sql = "i" }, sku = "a", qty = { value = 1 } },
    { line_no = { sql = "i" }, sku = "b", qty = { value = 1 } },
]
"""


def test_lines_that_are_written_out_are_vouched_for_only_if_their_numbers_differ() -> None:
    channel = Channel(parse_mapping(WRITTEN_OUT, "two.toml"), BINDING)

    (record,) = channel.take([json.dumps({**SOUND, "a": "S1", "b": "S2"}).encode()]).records

    assert isinstance(record.decoded(), Refusal)
    assert not record.is_sound


@pytest.mark.parametrize(
    "member", ["e1", "i1", "r", "line", "kind", "record", "raw", "pieces", "x", "is_odd"]
)
def test_a_member_may_be_called_like_anything_within_the_statement(member: str) -> None:
    changed = STRICT.replace('"region"', f'"{member}"').replace('".n"', '{ sql = "i" }')
    channel = Channel(parse_mapping(changed, "strict.toml"), BINDING)

    (record,) = channel.take([json.dumps({**SOUND, member: "theirs"}).encode()]).records

    data = json.loads(record.line)["data"]
    assert (data["region"], [line["sku"] for line in data["lines"]]) == ("theirs", ["S1", "S1"])
    assert record.is_sound == (member not in ("e1", "i1"))
