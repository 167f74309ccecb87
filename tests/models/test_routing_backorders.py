"""What no stock serves: planned supply, waiting, and being served when stock arrives."""

from schemas.codes import TempClass
from tests.support.builders import (
    counted,
    lane,
    line,
    node,
    order,
    route,
    supply,
)


def test_a_node_that_cannot_keep_one_line_still_gets_supply_for_another() -> None:
    frozen = [TempClass.FROZEN]
    rows = route(
        node("A"),
        node("F", temp_classes=frozen),
        lane("A"),
        lane("F", temp_classes=frozen),
        counted("F", {"ICE": 1}),
        supply("p-1", "A", {"S1": 1}),
        order("o-1", line("S1"), line("ICE", temp_class=TempClass.FROZEN)),
    )

    decision = rows.decision()
    assert decision["outcome"] == "PARTIALLY_ROUTED"
    assert decision["units_backordered"] == 1
    assert decision["units_unserved"] == 0
