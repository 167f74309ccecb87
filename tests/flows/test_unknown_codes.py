"""Codes that no mapping knows: counted out of what was refused, each with where and since when."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flows.channels.engine import Channel
from flows.channels.mapping import with_maps
from flows.letters import Letter
from flows.unknown_codes import Unknown, codes_in, unknown_codes
from tests.support.channels import BINDING, GOLDEN, shipped

TOPIC = "acme.shopify.raw"
START = datetime(2026, 3, 1, tzinfo=UTC)
ORDER = json.loads((GOLDEN / "samples/shopify-order.json").read_text(encoding="utf-8"))["order"]


@pytest.fixture(scope="module")
def shopify() -> Channel:
    return shipped("shopify")


def refused(shopify: Channel, *payloads: dict[str, Any]) -> list[Letter]:
    """Their dead letters, an hour apart."""
    raw = [json.dumps(payload).encode() for payload in payloads]
    troubles = {trouble.payload: trouble for trouble in shopify.take(raw).troubles}
    return [
        Letter(
            0, n, START + timedelta(hours=n), troubles[n].reason.name, troubles[n].detail,
            f"{TOPIC}/3", 100 + n, raw[n],
        )
        for n in range(len(raw))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("detail", "codes"),
    [
        ("data.payment: later is no code of maps.payments", [("data.payment", "later", "maps.payments")]),
        (
            "data.region: missing; subject: B; 7 is no code of maps.my-nodes; data.kind: X is no OrderKind",
            [("subject", "B; 7", "maps.my-nodes"), ("data.kind", "X", "OrderKind")],
        ),
        ("data.lines.qty: x is no whole number; time: now is no time", []),
        ("no JSON at byte 3", []),
        ("", []),
    ],
)  # fmt: skip
def test_a_complaint_names_its_codes(detail: str, codes: list[tuple[str, str, str]]) -> None:
    assert codes_in(detail) == codes


def test_codes_are_counted_by_field_with_the_newest_payload(shopify: Channel) -> None:
    said = ("in_review", "ignored", "in_review")
    letters = refused(
        shopify, *(ORDER | {"id": n, "financial_status": s} for n, s in enumerate(said))
    )

    found = unknown_codes(letters, {TOPIC: shopify})

    often, once = found.items()
    assert often[0] == Unknown(TOPIC, "data.payment", "in_review", "maps.payments")
    assert (often[1].letters, often[1].first_at, often[1].example) == (2, START, letters[2])
    assert (once[0].code, once[1].letters, once[1].would_pass) == ("ignored", 1, 0)


def test_a_code_that_the_mapping_knows_by_now_would_pass(shopify: Channel) -> None:
    letters = refused(shopify, ORDER | {"financial_status": "in_review"})
    told = with_maps(shopify.mapping, {"payments": {"in_review": "pending"}})

    (found,) = unknown_codes(letters, {TOPIC: Channel(told, BINDING)}).values()

    assert (found.letters, found.would_pass) == (1, 1)
