"""The router decides what a naive one decides, record by record."""

import pytest

from schemas.codes import Trigger
from schemas.envelope import Event
from tests.support.builders import Rows, effects_of, journal
from tests.support.reference import Decision, Reference
from tests.support.worlds import Shape, world

EXACT = Shape(records=90, dates=False, gaps=False, most_lines=4)
PLENTY = Shape(records=60, dates=False, gaps=False, most_lines=3, stock=80, step=300.0)
"""Orders are served at once, so that proposed plans have something to be better than."""


def by_reference(events: list[Event]) -> list[Decision]:
    reference = Reference()
    for position, event in enumerate(events):
        reference.take(position, event)
    return reference.decisions


def by_router(events: list[Event]) -> list[Decision]:
    return [
        (
            d["position"],
            d["order_id"],
            d["outcome"],
            d["nodes"],
            d["total_minor"],
            d["units_served"],
            d["units_backordered"],
            d["units_unserved"],
        )
        for d in Rows(effects_of(journal(*events))).decisions
    ]


@pytest.mark.parametrize("tens", range(10))
@pytest.mark.parametrize("shape", [EXACT, PLENTY], ids=["EXACT", "PLENTY"])
def test_the_router_decides_what_the_naive_one_decides(shape: Shape, tens: int) -> None:
    for seed in range(10 * tens, 10 * tens + 10):
        events = world(seed, shape)

        expected, decided = by_reference(events), by_router(events)

        for mine, other in zip(decided, expected, strict=False):
            assert mine == other, f"world({seed}, {shape})"
        assert len(decided) == len(expected), f"world({seed}, {shape})"


def test_everything_that_can_make_an_order_be_decided_again_does() -> None:
    shapes = [EXACT, PLENTY]
    rows = [
        Rows(effects_of(journal(*world(seed, shape)))) for shape in shapes for seed in range(60)
    ]

    seen = {decision["trigger"] for each in rows for decision in each.decisions}

    assert seen == {trigger.name for trigger in Trigger}
