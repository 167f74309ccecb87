"""No oversell, no lost unit, no double reservation, whatever the log says in whatever order."""

import pytest

from tests.property.auditor import AuditError, audit
from tests.support.builders import (
    Rows,
    cancelled,
    counted,
    effects_of,
    journal,
    lane,
    named,
    node,
    order,
    route,
)
from tests.support.worlds import Shape, world

SHAPES = {
    "all": Shape(records=80),
    "quick": Shape(records=60, step=120.0, changes=False),
    "timeless": Shape(records=60, clock=False),
}


@pytest.mark.parametrize("shape", sorted(SHAPES))
@pytest.mark.parametrize("tens", range(7))
def test_an_auditor_finds_nothing(shape: str, tens: int) -> None:
    for seed in range(10 * tens, 10 * tens + 10):
        events = world(seed, SHAPES[shape])

        rows = Rows(effects_of(journal(*events)))

        try:
            audit(events, rows)
        except AuditError as error:
            pytest.fail(f"world({seed}, SHAPES[{shape!r}]): {error}")


def test_the_auditor_finds_an_oversell() -> None:
    events = [node("A"), counted("A", {"S1": 2}), lane("A"), order("o-1", ("S1", 2))]
    rows = route(*events)
    rows.allocations[0]["qty"] = 3

    with pytest.raises(AuditError, match="oversold: 2 units were free"):
        audit(named(*events), rows)


def test_the_auditor_finds_a_released_unit_that_was_not_held() -> None:
    events = [node("A"), counted("A"), lane("A"), order("o-1", ("S1", 2)), cancelled("o-1")]
    rows = route(*events)
    rows.allocations[1]["qty"] = 3

    with pytest.raises(AuditError, match="only 2 units were held"):
        audit(named(*events), rows)


def test_the_auditor_finds_a_servable_order_refused() -> None:
    events = [node("A"), counted("A"), lane("A"), order("o-1", ("S1", 2))]
    rows = route(*events)
    rows.allocations.clear()
    rows.decision()["outcome"] = "UNROUTABLE"

    with pytest.raises(AuditError, match="A could serve all"):
        audit(named(*events), rows)


def test_the_auditor_finds_a_sum_that_is_wrong() -> None:
    events = [node("A"), counted("A"), lane("A"), order("o-1", ("S1", 2))]
    rows = route(*events)
    rows.decision()["freight_minor"] += 1

    with pytest.raises(AuditError, match="components add up"):
        audit(named(*events), rows)
