"""The shipped mappings on what the platforms send: records, reasons, and what is left of a payload."""

import json
import re

import msgspec
import pytest

from flows.channels.engine import Channel
from flows.channels.mapping import is_within
from flows.channels.report import leaves, unused_paths
from schemas.codec import Refusal, decode_line
from schemas.crossref import Assignment, CrossReference, foreign_of, resolved
from tests.support.channels import FILES, golden, read, samples, shipped

PERSONAL = re.compile(
    r"(^|[._])(e?mail|phone|phone_?number|tel_number|(first|last|buyer|user|full)_?name|address_?(line)?_?\d|"
    r"zip|postcode|postal_?code|openid|street)$",
    re.IGNORECASE,
)
"""Members that hold personal data wherever they are, but for places of the shop itself."""
OURS = re.compile(
    r"^(location|locations\[\]|returnAuthorizations)[.\[]|assigned_location|DefaultShip"
)
SHORTEST = 5
"""Characters of a text that is not in a record by chance."""


@pytest.fixture(scope="module", params=FILES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def channel(name: str) -> Channel:
    return shipped(name)


def test_every_sample_becomes_what_it_was_when_somebody_read_it(
    name: str, channel: Channel
) -> None:
    expected = golden(name)

    made = {sample.name: read(channel, sample) for sample in samples(name)}

    assert made
    assert made == {one: expected.get(one) for one in made}, "python -m tests.support.channels"


def test_every_record_is_one_for_the_canonical_decoder(name: str) -> None:
    anywhere = CrossReference(
        assignments=[Assignment(tenant="acme", network="eu", subjects=["o-1"])]
    )
    lines = [msgspec.json.encode(r) for one in golden(name).values() for r in one["records"]]

    for line in lines:
        foreign = foreign_of(line)
        (whole,) = resolved(line, foreign, anywhere) if foreign else [line]
        assert not isinstance(decode_line(whole, 1), Refusal), line
    assert lines


def test_a_sample_is_a_record_is_passed_over_or_has_its_reason(name: str) -> None:
    for one in golden(name).values():
        assert one["records"] or one["troubles"] or one["passed_over"], one["sample"]
        assert "no record of the mapping is in it" not in str(one["troubles"]), one["sample"]


def test_what_is_personal_is_named_and_in_no_record(name: str, channel: Channel) -> None:
    for sample in samples(name):
        records = b" ".join(r.line for r in channel.take([sample.payload]).records).decode()
        for path, value in leaves(json.loads(sample.payload), channel.mapping.unwrap):
            is_named = any(is_within(path, one) for one in channel.mapping.personal)
            assert is_named or not PERSONAL.search(path) or OURS.search(path), (sample.name, path)
            if is_named and isinstance(value, str) and len(value) >= SHORTEST:
                said = rf"(?<!\w){re.escape(value)}(?!\w)"
                assert not re.search(said, records), (sample.name, path)


def test_a_batch_of_all_is_each_alone(name: str, channel: Channel) -> None:
    payloads = [sample.payload for sample in samples(name)]

    together, alone = channel.take(payloads), [channel.take([payload]) for payload in payloads]

    assert together.records == [
        r._replace(payload=n) for n, one in enumerate(alone) for r in one.records
    ]
    assert together.troubles == [
        t._replace(payload=n) for n, one in enumerate(alone) for t in one.troubles
    ]
    assert together.passed_over == [
        (n, why) for n, one in enumerate(alone) for _, why in one.passed_over
    ]


def test_what_a_mapping_leaves_is_told_without_what_it_names() -> None:
    shop = shipped("shopify")
    order = {
        "id": 1,
        "new_thing": {"a": [1, {"b": 2}], "c": None},
        "email": "a@example.com",
        "tax_lines": [{"x": 1}],
    }

    left = unused_paths(shop, {"order": order})

    assert left == ["new_thing.a[]", "new_thing.a[].b"]
