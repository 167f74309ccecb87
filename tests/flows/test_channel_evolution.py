"""What a platform has changed between two versions of its payloads."""

from typing import Any

import pytest

from flows.channels.evolution import Changes, changes

ORDER = {"id": 17, "created_at": "2026-03-01", "lines": [{"sku": "X-1", "qty": 2}], "tags": []}


def renamed(old: str, new: str, before: Any, after: Any) -> dict[str, str]:
    """What is proposed where a member of one sample has another name in the other."""
    return changes([ORDER | {old: before}], [ORDER | {new: after}], []).renamed


def test_payloads_that_differ_in_values_alone_are_of_one_version() -> None:
    other = {
        "id": 18,
        "created_at": "2026-04-01",
        "lines": [{"sku": "Y", "qty": 1}] * 2,
        "tags": ["a"],
    }

    assert changes([ORDER], [other], []) == Changes([], [], {})


def test_members_within_what_is_empty_are_neither_new_nor_gone() -> None:
    empty = ORDER | {"lines": [], "tags": None}

    assert changes([ORDER], [empty], []) == changes([empty], [ORDER], []) == Changes([], [], {})


@pytest.mark.parametrize(
    ("old", "new", "before", "after"),
    [
        ("updateTime", "updated_time", "one", "two"),
        ("buyer_id", "buyerId", 7, 8),
        ("memo", "remark", "by the back door", "by the back door"),
    ],
)
def test_a_new_name_is_proposed_by_likeness_or_by_its_value(
    old: str, new: str, before: Any, after: Any
) -> None:
    assert renamed(old, new, before, after) == {old: new}


@pytest.mark.parametrize(("old", "new", "value"), [("memo", "weight", 7), ("paid", "tested", True)])
def test_what_has_little_in_common_is_not_proposed(old: str, new: str, value: Any) -> None:
    assert renamed(old, new, value, value) == {}


def test_of_several_the_likeliest_is_proposed_and_none_twice() -> None:
    old = {"order": {"ship_name": "A", "ship_names": "B"}}
    new = {"order": {"shipName": "C", "shipping_names": "D"}}

    assert changes([old], [new], []).renamed == {
        "order.ship_name": "order.shipName",
        "order.ship_names": "order.shipping_names",
    }


def test_envelopes_are_opened_as_the_mapping_opens_them() -> None:
    assert changes([{"order": ORDER}], [[ORDER | {"note": "x"}]], ["order"]).added == ["note"]
