"""The mapping engine: payloads become records, and whatever cannot is said to be so."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.channels.book import MappingText, open_channel
from flows.channels.engine import Binding, Channel, Mapped, token_of
from flows.channels.mapping import parse_mapping
from flows.channels.values import FieldError
from schemas.codec import Refusal, decode_line
from schemas.codes import DeadLetterReason
from schemas.errors import InputError
from schemas.orders import OrderReceived

SHOP = """
name = "shop"
title = "A shop"
zone = "Asia/Shanghai"
unwrap = ["orders"]
personal = ["buyer.phone"]

[[record]]
type = "order.received"
when = "p.items is not null"
id = "no"
subject = "no"
time = "at"

[record.data]
region = { path = "country", default = "CN" }
currency = { path = "money", default = "CNY" }
customer = { path = "buyer.id", token = true }
payment = { path = "paid", map = "payments" }
requested_by = { path = "until", unit = "ms" }
no_split = "whole"
carrier = "buyer.phone"

[record.data.lines]
each = "items"
line_no = { sql = "i" }
sku = ".sku"
qty = ".n"
weight_g = { path = ".kilos", unit = "kg" }
unit_price_minor = ".price"

[maps.payments]
yes = "authorised"
no = "pending"
"""
BINDING = Binding(source="shop-1", tenant="acme", network="cn", secret=b"of the tests")


@pytest.fixture(scope="module")
def shop() -> Channel:
    return Channel(parse_mapping(SHOP, "shop.toml"), BINDING)


def order(**changes: Any) -> dict[str, Any]:
    plain = {
        "no": "A-1",
        "at": "2026-03-01 08:00:00",
        "paid": "yes",
        "items": [{"sku": "X", "n": 2, "price": "19.90"}],
    }
    return plain | changes


def mapped(shop: Channel, *payloads: Any) -> Mapped:
    return shop.take([p if isinstance(p, bytes) else json.dumps(p).encode() for p in payloads])


def record(shop: Channel, **changes: Any) -> OrderReceived:
    made = mapped(shop, order(**changes))
    assert made.troubles == []
    (line,) = made.records
    event = decode_line(line[1], 1)
    assert isinstance(event, OrderReceived), event
    return event


def trouble(shop: Channel, **changes: Any) -> str:
    made = mapped(shop, order(**changes))
    assert made.records == []
    (one,) = made.troubles
    assert one.reason is DeadLetterReason.UNMAPPED
    return one.detail


def test_a_payload_becomes_a_record_that_the_codec_takes(shop: Channel) -> None:
    made = record(shop, country="DE", buyer={"id": 7}, whole=True)

    assert made.id.startswith("A-1~")
    assert (made.source, made.subject, made.tenant) == ("shop-1", "A-1", "acme")
    assert made.data.region == "DE"
    assert made.data.no_split
    assert [(line.line_no, line.sku, line.qty) for line in made.data.lines] == [(1, "X", 2)]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-03-01 08:00:00", "2026-03-01T00:00:00+00:00"),  # the zone of the mapping
        ("2026-03-01T08:00:00Z", "2026-03-01T08:00:00+00:00"),
        ("2026-03-01T08:00:00.25+01:00", "2026-03-01T07:00:00.250000+00:00"),
        ("2026-03-01T08:00:00-0330", "2026-03-01T11:30:00+00:00"),
        ("2026-03-01", "2026-02-28T16:00:00+00:00"),
    ],
)
def test_times_are_instants(shop: Channel, said: str, meant: str) -> None:
    assert record(shop, at=said).time.isoformat() == meant


@pytest.mark.parametrize("said", ["soon", "2026-13-01", "1.3.2026", 7, "2026-03-01T25:00:00Z"])
def test_what_is_no_time_is_refused(shop: Channel, said: Any) -> None:
    assert trouble(shop, at=said) == f"time: {said} is no time"


@pytest.mark.parametrize(
    ("money", "price", "minor"),
    [("EUR", "19.90", 1990), ("JPY", "1990", 1990), ("KWD", "1.995", 1995), ("CNY", 0.1, 10)],
)
def test_money_is_in_minor_units_of_its_currency(
    shop: Channel, money: str, price: Any, minor: int
) -> None:
    made = record(shop, money=money, items=[{"sku": "X", "n": 1, "price": price}])

    assert made.data.lines[0].unit_price_minor == minor


@pytest.mark.parametrize(("money", "price"), [("JPY", "19.9"), ("EUR", "1.999"), ("EUR", "cheap")])
def test_money_that_its_currency_cannot_say_is_refused(
    shop: Channel, money: str, price: str
) -> None:
    said = trouble(shop, money=money, items=[{"sku": "X", "n": 1, "price": price}])

    assert said == f"data.lines.unit_price_minor: {price} is no amount of its currency"


@pytest.mark.parametrize("said", ["1.5", "two", "1e3", "9" * 40])
def test_what_is_no_whole_number_is_refused_and_not_rounded(shop: Channel, said: str) -> None:
    assert "data.lines.qty" in trouble(shop, items=[{"sku": "X", "n": said}])


def test_weights_are_grams(shop: Channel) -> None:
    made = record(shop, items=[{"sku": "X", "n": 1, "kilos": "0.25"}])

    assert made.data.lines[0].weight_g == 250


def test_a_code_that_no_table_knows_is_refused(shop: Channel) -> None:
    assert trouble(shop, paid="perhaps") == "data.payment: perhaps is no code of maps.payments"


def test_what_has_to_be_there_and_is_not_is_named(shop: Channel) -> None:
    made = mapped(shop, {"items": []})

    assert (
        made.troubles[0].detail
        == "id: missing; time: missing; subject: missing; data.lines: missing"
    )


def test_what_is_no_record_is_not_recognised(shop: Channel) -> None:
    reasons = [trouble.reason for trouble in mapped(shop, {"ping": 1}, [[]], 5, None).troubles]

    assert reasons == [DeadLetterReason.UNRECOGNISED] * 4


def test_two_states_of_one_second_are_two_records_and_a_repeat_is_one(shop: Channel) -> None:
    said = [order(paid="no"), order(paid="yes"), order(paid="no")]

    first, second, again = (json.loads(r.line)["id"] for r in mapped(shop, *said).records)

    assert first == again
    assert first != second
    assert {name.partition("~")[0] for name in (first, second)} == {"A-1"}


@pytest.mark.parametrize(("characters", "is_taken"), [(111, True), (120, False)])
def test_an_id_has_room_for_what_is_said(shop: Channel, characters: int, is_taken: bool) -> None:
    (made,) = mapped(shop, order(no="N" * characters)).records

    assert isinstance(made.decoded(), OrderReceived) == is_taken


def test_an_envelope_is_opened(shop: Channel) -> None:
    made = mapped(shop, {"orders": [order(no="1"), order(no="2")]}, {"orders": order(no="3")})

    assert [(record.payload, json.loads(record.line)["subject"]) for record in made.records] == [
        (0, "1"),
        (0, "2"),
        (1, "3"),
    ]


def test_what_is_wrong_with_a_part_leaves_the_rest(shop: Channel) -> None:
    made = mapped(shop, {"orders": [order(no="1"), order(no="2", paid="?")]})

    assert [json.loads(record.line)["subject"] for record in made.records] == ["1"]
    assert [t.payload for t in made.troubles] == [0]


def test_a_customer_is_a_token(shop: Channel) -> None:
    one, same, other = (record(shop, buyer={"id": who}).data.customer for who in (7, "7", 8))

    assert one == same != other
    assert one != "7"


@pytest.mark.parametrize("secret", [b"", b"k", b"\0\xff" * 32, b"of more than a block" * 9])
def test_tokens_are_those_that_python_makes(secret: bytes) -> None:
    channel = Channel(parse_mapping(SHOP, "shop.toml"), BINDING._replace(secret=secret))
    customers = [f"buyer-{n}" for n in range(3000)] + ["买家", "x" * 500]

    made = mapped(channel, *(order(buyer={"id": who}) for who in customers))

    tokens = [json.loads(record.line)["data"]["customer"] for record in made.records]
    assert tokens == [token_of(secret, BINDING.source, who) for who in customers]


def test_personal_data_is_in_no_complaint() -> None:
    text = SHOP.replace('carrier = "buyer.phone"', 'priority = "buyer.phone"')
    channel = Channel(parse_mapping(text, "shop.toml"), BINDING)

    made = mapped(channel, order(buyer={"phone": "+49 30 1234"}))

    assert made.troubles[0].detail == "data.priority: a value is no whole number"


BAD = [
    b"",
    b"{",
    b"\xff\xfe",
    b"nul",
    b'{"a":1}{"b":2}',
    b'"' + b"x" * 99,
    b"[" * 200_000,
    b'{"a":1e999}',
]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_payload_fails_alone(shop: Channel, bad: bytes) -> None:
    made = mapped(shop, order(no="1"), bad, order(no="2"))

    assert [record.payload for record in made.records] == [0, 2]
    assert [t.payload for t in made.troubles] == [1]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
_GOOD: dict[str, list[Any]] = {
    "no": ["A-1", 5],
    "at": ["2026-03-01", "2026-03-01T00:00:00Z"],
    "paid": ["yes", "no"],
    "money": ["EUR", "JPY"],
    "until": [1_772_323_200_000],
    "buyer": [{"id": 1}],
    "items": [[{"sku": "X", "n": 1, "price": "1.00"}], [{"sku": "X", "n": 0}]],
}
_ORDERS = st.fixed_dictionaries(
    {}, optional={name: _VALUES | st.sampled_from(good) for name, good in _GOOD.items()}
)
_PAYLOADS = st.lists(
    st.binary(max_size=40) | _ORDERS.map(lambda o: json.dumps(o).encode()), max_size=6
)


@settings(max_examples=60, deadline=None)
@given(payloads=_PAYLOADS)
def test_whatever_comes_is_a_record_or_a_complaint_and_batches_change_nothing(
    shop: Channel, payloads: list[bytes]
) -> None:
    whole = shop.take(payloads)

    alone = [shop.take([payload]) for payload in payloads]
    # which statement made a record, and so whether it was looked at, is another matter
    assert [r._replace(is_sound=True) for r in whole.records] == [
        r._replace(payload=n, is_sound=True) for n, one in enumerate(alone) for r in one.records
    ]
    assert whole.troubles == [
        t._replace(payload=n) for n, one in enumerate(alone) for t in one.troubles
    ]
    heard = {record.payload for record in whole.records} | {t.payload for t in whole.troubles}
    assert heard == set(range(len(payloads)))
    for _, line, _, _ in whole.records:
        decoded = decode_line(line, 1)
        assert not isinstance(decoded, Refusal) or decoded.reason is DeadLetterReason.SCHEMA_INVALID


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ('title = "A shop"', 'titel = "A shop"', "shop.toml:1: the file: Object contains unknown"),
        ('qty = ".n"', 'amount = ".n"', "record[0].data.lines.amount: is no field of OrderLine"),
        ('qty = ".n"', "", "record[0].data.lines.qty: OrderLine needs it"),
        ('map = "payments"', 'map = "money"', "record[0].data.payment: there is no table maps.money"),
        ('when = "p.items', 'when = "q.items', "record[0].when: 'q' is none of p"),
        ('when = "p.items is not null"', 'when = "p.items is"', "record[0].when: no SQL"),
        ('line_no = { sql = "i" }', "line_no = {}", "record[0].data.lines.line_no: needs one of path"),
        ('time = "at"', 'time = ".at"', "record[0].time: '.at' is within an element"),
        ('type = "order.received"', 'type = "order.made"', "record[0].type: 'order.made' is no record"),
        ('time = "at"', 'time = "at"\nassigns = "tracking"', "record[0].assigns: is for a record"),
    ],
)  # fmt: skip
def test_a_wrong_mapping_is_refused_by_field(before: str, after: str, complaint: str) -> None:
    assert before in SHOP

    with pytest.raises((InputError, FieldError)) as refused:
        Channel(parse_mapping(SHOP.replace(before, after), "shop.toml"), BINDING)

    error = refused.value
    said = f"{error.field}: {error}" if isinstance(error, FieldError) else str(error)
    assert said.startswith(complaint)


@pytest.mark.parametrize(
    "reaching",
    [
        "(select content from read_text('/etc/hostname'))",
        "(select count(*) from duckdb_settings())",
        "no from duckdb_settings()",
        "getenv('HOME')",
    ],
)
def test_the_sql_of_a_mapping_reaches_nothing_outside(reaching: str) -> None:
    text = SHOP.replace('id = "no"', f'id = {{ sql = "{reaching}" }}')

    with pytest.raises((FieldError, InputError)):
        Channel(parse_mapping(text, "shop.toml"), BINDING)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("paid = 7\n", "maps.payments.paid: 7 is no text"),
        ("[maps.payments.x]\n", "x: {} is no text"),
    ],
)
def test_a_code_that_is_no_text_is_named_with_its_line(wrong: str, complaint: str) -> None:
    text = SHOP.partition("[maps.payments]\n")[0] + "[maps.payments]\n" + wrong
    line = text.count("\n")

    with pytest.raises(InputError, match=f"shop.toml:{line}: .*{complaint}"):
        open_channel(MappingText("shop.toml", text), BINDING)


def test_sql_sees_the_members_of_arrays_that_the_mapping_says_it_reads() -> None:
    read = "list_filter(p.notes, lambda x: x.kind = 'no')[-1].said"
    text = SHOP.replace('subject = "no"', f'subject = {{ sql = "{read}" }}')
    reads = 'reads = ["notes[].kind", "notes[].said"]\n'
    notes = [{"kind": "no", "said": "first"}, {"kind": "no", "said": "last"}, {"kind": "yes"}]

    shop = Channel(parse_mapping(reads + text, "shop.toml"), BINDING)

    assert record(shop, notes=notes).subject == "last"
    with pytest.raises(FieldError, match="its SQL"):
        Channel(parse_mapping(text, "shop.toml"), BINDING)


def test_sql_may_extract_from_a_member_by_an_arrow() -> None:
    text = SHOP.replace('subject = "no"', """subject = { sql = "upper(p.extra -> '$.no')" }""")

    made = record(Channel(parse_mapping(text, "shop.toml"), BINDING), extra={"no": "a"})

    assert made.subject == '"A"'


MONEY = 'currency = { path = "money", default = "CNY" }\n'


def test_money_of_no_currency_is_refused_with_the_remedy() -> None:
    text = SHOP.replace(MONEY, "")
    line = 1 + text[: text.index("[record.data]")].count("\n")

    with pytest.raises(
        InputError, match=r"data\.lines\.unit_price_minor is money: say of which"
    ) as told:
        open_channel(MappingText("shop.toml", text), BINDING)
    assert f"shop.toml:{line}: record[0].data.currency: " in str(told.value)


def test_a_mapping_without_money_needs_no_currency() -> None:
    text = SHOP.replace(MONEY, "").replace('unit_price_minor = ".price"\n', "")

    open_channel(MappingText("shop.toml", text), BINDING)


def test_an_order_that_does_not_say_its_currency_is_refused_unless_the_mapping_does() -> None:
    asks = Channel(parse_mapping(SHOP.replace(MONEY, 'currency = "money"\n'), "shop.toml"), BINDING)
    order = {"no": "A", "at": "2026-03-01", "items": [{"sku": "X", "n": 1, "price": "1.00"}]}
    payload = json.dumps(order).encode()

    (trouble,) = asks.take([payload]).troubles

    assert trouble.detail == "data.currency: missing"
    with_default = Channel(parse_mapping(SHOP, "shop.toml"), BINDING).take([payload])
    assert json.loads(with_default.records[0].line)["data"]["currency"] == "CNY"
