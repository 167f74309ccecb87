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
from flows.channels.quick import is_quick
from tests.support.channels import FILES, samples, shipped

ODD: list[Any] = [
    None, "", "x", "0", "-1", 2.5, "2.50", "12.505", "1e3", 1e300, 99999999999999999999, True, "yes",
    [], {}, [1],
    "2026-02-30T00:00:00Z", "2026-11-25", "2026-11-25 10:00", "9999-12-31T23:59:59Z", "l" * 300, "zł\u0000",
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
            holder[key] = value
        payloads.append(json.dumps(odd).encode())
    return payloads


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


@pytest.mark.parametrize("name", ["marketplace-cn", "iot-reorder", "woocommerce"])
def test_an_order_with_which_nothing_is_wrong_needs_no_second_look(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    channel, (order, *_) = shipped(name), samples(name)
    monkeypatch.setattr(channel, "_take_whole", lambda *_: pytest.fail("looked at twice"))

    assert [record.payload for record in channel.take([order.payload] * 3).records] == [0, 1, 2]
