"""What is kept of payloads: nothing personal that anybody could read without the person's key."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.channels.engine import Channel, token_of
from flows.channels.mapping import is_within, parse_mapping
from flows.channels.owners import guest_name
from flows.channels.values import FieldError
from flows.vault.keys import Owner, Vault
from flows.vault.payloads import Kept, Sealer
from tests.support.channels import BINDING, FILES, samples, shipped

MASTER = b"m" * 32
FAR = datetime(9999, 1, 1, tzinfo=UTC)
PLANTED = "Zorblax"
"""Is in no payload but where a test puts it."""

SHOP = """
name = "shop"
title = "A shop"
unwrap = ["orders", "one"]
texts = ["extra"]
personal = ["buyer.name", "lines[].note", "extra.phone", "memo"]

[[record]]
type = "order.received"
when = "p.lines is not null"
id = "no"
subject = "no"
time = "at"
[record.data]
region = "country"
customer = { path = "buyer.no", token = true }
[record.data.lines]
each = "lines"
line_no = { sql = "i" }
sku = ".sku"
qty = ".n"
"""


@pytest.fixture(scope="module")
def shop() -> Channel:
    return Channel(parse_mapping(SHOP, "shop.toml"), BINDING)


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with Vault(tmp_path / "vault.sqlite", MASTER) as opened:
        yield opened


def order(buyer: int | None = 7, **changes: Any) -> dict[str, Any]:
    plain = {
        "no": "A-1",
        "at": "2026-03-01T08:00:00Z",
        "country": "DE",
        "price": 1.50,
        "buyer": {"no": buyer, "name": f"{PLANTED} {buyer}"},
        "lines": [{"sku": "X", "n": 1, "note": f"for {PLANTED}"}],
    }
    return plain | changes


def of(buyer: int) -> Owner:
    return Owner("shop-1", token_of(BINDING.secret, "shop-1", str(buyer)))


def kept(
    vault: Vault | None, channel: Channel, *payloads: Any, is_known: bool = True
) -> list[bytes]:
    raw = [p if isinstance(p, bytes) else json.dumps(p).encode() for p in payloads]
    return Sealer(vault).sealed(channel, [Kept(one, is_known) for one in raw])


def planted(value: Any, channel: Channel, path: str = "") -> Any:
    """A payload with a word of ours in each of its personal members."""
    if isinstance(value, list):
        return [planted(one, channel, path and f"{path}[]") for one in value]
    if isinstance(value, dict):
        return {k: planted(one, channel, _below(path, k, one, channel)) for k, one in value.items()}
    names = [*channel.mapping.personal, *channel.statement.tokens]
    is_personal = any(is_within(path, name) for name in names)
    return f"{PLANTED} {value}" if is_personal and value not in (None, "") else value


def _below(path: str, name: str, value: Any, channel: Channel) -> str:
    """The path of a member; what is in an envelope is as if that were the payload."""
    names = {part for envelope in channel.mapping.unwrap for part in envelope.split(".")}
    if name in names and isinstance(value, dict | list):
        return ""
    return f"{path}.{name}" if path else name


@pytest.mark.parametrize("name", FILES)
def test_of_no_sample_anything_personal_is_kept_or_made_a_record(name: str, vault: Vault) -> None:
    channel = shipped(name)
    payloads = [planted(json.loads(sample.payload), channel) for sample in samples(name)]
    raw = [json.dumps(payload).encode() for payload in payloads]

    keep = [Kept(one, is_known=True) for one in raw]
    sealed = Sealer(vault).sealed(channel, keep)
    mapped = channel.take(raw)

    assert any(PLANTED.encode() in one for one in raw) or not channel.mapping.personal
    assert not any(PLANTED.encode() in one for one in sealed)
    assert not any(PLANTED.encode() in record.line for record in mapped.records)
    assert not any(PLANTED in trouble.detail for trouble in mapped.troubles)
    assert [json.loads(vault.opened(one)) for one in sealed] == payloads
    assert not any(PLANTED.encode() in one for one in Sealer(None).sealed(channel, keep))


TOLD_OF = {
    "a fulfillment": ("shopify", {"tracking_numbers": [], "destination": {"name": PLANTED}}),
    "what happens to it": (
        "shopify",
        {"fulfillment_id": 1, "status": "delivered", "message": PLANTED, "address1": PLANTED}
        | {"city": PLANTED, "zip": PLANTED},
    ),
    "a refund": (
        "shopify",
        {
            "transactions": [{"receipt": {"payer": PLANTED}}],
            "refund_line_items": [{"line_item": {"properties": [{"value": PLANTED}]}}],
        },
    ),
    "an order's phone": ("shopify", {"shipping_lines": [{"phone": PLANTED}]}),
    "a row that is gone": (
        "debezium-erp",
        {"op": "d", "before": {"order_no": "7", "customer_no": PLANTED}, "after": None},
    ),
    "who came": ("debezium-crm", {"op": "d", "before": {"technician_no": PLANTED}, "after": None}),
}
"""Payloads, not whole, that name a person where the samples do not."""


@pytest.mark.parametrize(("name", "payload"), TOLD_OF.values(), ids=TOLD_OF.keys())
def test_what_platforms_say_of_a_person_is_not_kept(name: str, payload: dict[str, Any]) -> None:
    (sealed,) = kept(None, shipped(name), payload)

    assert PLANTED.encode() not in sealed


def test_a_purge_takes_the_number_of_a_customer_whose_row_is_gone(vault: Vault) -> None:
    channel, (_, row) = shipped("debezium-erp"), TOLD_OF["a row that is gone"]
    (sealed,) = kept(vault, channel, row)

    vault.destroy(Owner("shop-1", token_of(BINDING.secret, "shop-1", PLANTED)))

    assert json.loads(vault.opened(sealed))["before"] == {"order_no": "7", "customer_no": None}


GUESTS = SHOP.replace("texts =", 'known_by = ["memo", "buyer.name"]\ntexts =', 1)


def test_a_guest_is_reached_by_what_he_is_known_by(vault: Vault) -> None:
    channel = Channel(parse_mapping(GUESTS, "shop.toml"), BINDING)
    guest, customer = order(None, memo="Ann @X.example"), order(7, memo="ann@x.example")
    named = token_of(BINDING.secret, "shop-1", guest_name(" ANN@x.Example"))
    sealed = kept(vault, channel, guest, {"complaint": PLANTED, "memo": "ann@x.example"}, customer)

    vault.destroy(Owner("shop-1", named))

    of_guest, complaint, of_customer = (json.loads(vault.opened(one)) for one in sealed)
    assert (of_guest["memo"], of_guest["buyer"]["name"], complaint["memo"]) == (None, None, None)
    assert of_customer == customer
    assert named not in channel.take([json.dumps(guest).encode()]).records[0].line.decode()


def test_what_people_are_known_by_is_personal() -> None:
    text = SHOP.replace("texts =", 'known_by = ["country"]\ntexts =', 1)

    with pytest.raises(FieldError, match="'country' is not personal"):
        Channel(parse_mapping(text, "shop.toml"), BINDING)


def test_a_form_is_sealed_whole_by_the_key_of_whom_it_is_about(vault: Vault) -> None:
    mapping = parse_mapping(SHOP.replace("title", 'form_field = "param"\ntitle', 1), "shop.toml")
    channel = Channel(mapping, BINDING)
    form = urlencode({"sign": "x", "param": json.dumps(order(7))}).encode()

    (sealed,) = kept(vault, channel, form)

    assert PLANTED.encode() not in sealed
    assert vault.opened(sealed) == form
    vault.destroy(of(7))
    assert vault.opened(sealed) == b"null"


def test_the_rest_stays_as_it_came_to_the_last_digit(vault: Vault, shop: Channel) -> None:
    raw = b'{"memo": "x", "total": 12345678901234567890.10, "tag": "\\u00fc", "at": [ 1e2 ]}'

    (sealed,) = kept(vault, shop, raw)

    assert b'"total":12345678901234567890.10' in sealed
    assert b'"tag":"\\u00fc"' in sealed
    assert b'"at":[ 1e2 ]' in sealed


@given(
    pieces=st.lists(st.sampled_from([1, 2, None]), max_size=3),
    wrapped=st.sampled_from(["orders", "one", ""]),
)
def test_a_purge_takes_what_is_of_one_person_and_leaves_the_others(
    tmp_path_factory: pytest.TempPathFactory,
    shop: Channel,
    pieces: list[int | None],
    wrapped: str,
) -> None:
    orders = [order(buyer) for buyer in pieces]
    payload: Any = {wrapped: orders} if wrapped else orders
    with Vault(tmp_path_factory.mktemp("vault") / "keys.sqlite", MASTER) as vault:
        (sealed,) = kept(vault, shop, payload)
        assert json.loads(vault.opened(sealed)) == payload

        vault.destroy(of(1))
        left = json.loads(vault.opened(sealed))

    found = left[wrapped] if wrapped else left
    names = [one["buyer"]["name"] for one in found]
    # what names nobody was sealed by all who are named beside it
    gone = {1: None, 2: f"{PLANTED} 2", None: None if 1 in pieces else f"{PLANTED} None"}
    assert names == [gone[buyer] for buyer in pieces]


@pytest.mark.parametrize(
    "raw",
    [
        f"no JSON of {PLANTED}".encode(),
        f'{{"buyer": {{"name": "{PLANTED}"'.encode(),
        f'{{"note": "{PLANTED}"}}'.encode() + b"\xff",
        b'{"a":"\xff", "b":"' + PLANTED.encode() + b'"}',
        b"[" * 5000 + PLANTED.encode(),
        f'"{PLANTED}"'.encode(),
        b"",
    ],
)
def test_what_the_mapping_cannot_read_is_sealed_whole(
    vault: Vault, shop: Channel, raw: bytes
) -> None:
    (sealed,) = kept(vault, shop, raw)

    assert PLANTED.encode() not in sealed
    assert vault.opened(sealed) == raw
    assert vault.destroy_of_payloads("shop-1", FAR) == 1
    assert vault.opened(sealed) == b"null"


def test_what_the_mapping_does_not_know_is_sealed_whole_by_who_is_named_in_it(
    vault: Vault, shop: Channel
) -> None:
    unknown = {"complaint": PLANTED, "buyer": {"no": 7}}

    (sealed,) = kept(vault, shop, unknown, is_known=False)

    assert PLANTED.encode() not in sealed
    assert json.loads(vault.opened(sealed)) == unknown
    assert vault.destroy(of(7)) == 1
    assert vault.opened(sealed) == b"null"


@pytest.mark.parametrize(
    "changes",
    [
        {"buyer": PLANTED},
        {"buyer": [{"name": PLANTED}]},
        {"buyer": {"name": {"first": PLANTED, "last": [PLANTED]}}},
        {"lines": {"note": PLANTED}},
        {"lines": [[{"note": PLANTED}], PLANTED]},
        {"extra": json.dumps({"phone": PLANTED})},
        {"memo": [PLANTED]},
    ],
)
def test_members_of_another_shape_are_sealed_all_the_same(
    vault: Vault, shop: Channel, changes: dict[str, Any]
) -> None:
    payload = order() | changes

    (sealed,) = kept(vault, shop, payload)

    assert PLANTED.encode() not in sealed
    assert json.loads(vault.opened(sealed)) == payload


def test_of_a_name_that_is_there_twice_none_is_kept(vault: Vault, shop: Channel) -> None:
    raw = f'{{"memo": "{PLANTED} 1", "m\\u0065mo": "{PLANTED} 2"}}'.encode()

    (sealed,) = kept(vault, shop, raw)

    assert PLANTED.encode() not in sealed


@pytest.mark.parametrize("place", ["", "country", "buyer", "memo", "lines", "one", "no", "extra"])
@pytest.mark.parametrize("is_known", [True, False])
def test_what_was_found_sealed_elsewhere_is_not_opened_for_who_posts_it(
    vault: Vault, shop: Channel, place: str, is_known: bool
) -> None:
    found = vault.keys_of([of(1)])[of(1)].seal(PLANTED.encode())
    spaced = found.replace(b":", b" : ").replace(b",", b" , ")

    for trick in (found, spaced):
        raw = b'{"buyer": {"no": 2}, "%b": %b}' % (place.encode(), trick) if place else trick
        (sealed,) = kept(vault, shop, raw, is_known=is_known)

        assert PLANTED.encode() not in vault.opened(sealed)
        assert json.loads(vault.opened(sealed)) == json.loads(raw)


def test_what_comes_twice_needs_no_second_key(vault: Vault, shop: Channel) -> None:
    for _ in range(2):
        kept(vault, shop, order(1), order(None), b"{")

    assert vault.counts("shop-1") == {"customers": 1, "payloads": 2, "destroyed": 0}


def test_what_has_nothing_personal_needs_no_key(vault: Vault, shop: Channel) -> None:
    plain = {"no": "A-1", "lines": [{"sku": "X"}]}

    assert json.loads(kept(vault, shop, plain)[0]) == plain
    assert vault.counts("shop-1")["payloads"] == 0


def test_payloads_of_a_channel_without_personal_data_stay_as_they_came(vault: Vault) -> None:
    text = SHOP.replace("personal", "ignore").replace(", token = true", "")
    channel = Channel(parse_mapping(text, "shop.toml"), BINDING)

    assert kept(vault, channel, b"{", b" [1]") == [b"{", b" [1]"]


def test_the_mapping_passes_without_what_was_purged(vault: Vault, shop: Channel) -> None:
    (sealed,) = kept(vault, shop, order())
    vault.destroy(of(7))

    (record,) = shop.take([vault.opened(sealed)]).records

    assert json.loads(record.line)["data"]["customer"] == ""
