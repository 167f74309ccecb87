"""Which nodes ship an order: candidates, splits, costs and ties."""

from schemas.envelope import Event
from tests.support.builders import (
    counted,
    lane,
    node,
    order,
    route,
)


def test_a_runner_up_is_another_plan_than_the_winner() -> None:
    rows = route(
        *two_nodes(),
        counted("A", {"S1": 2}),
        counted("B", {"S1": 2}),
        order("o-1", ("S1", 2), ("S2", 1)),
    )

    decision = rows.decision()
    assert decision["nodes"] == ["A"]
    assert decision["runner_up_nodes"] == ["B"]
    assert decision["second_runner_up_nodes"] == []
    assert decision["margin_minor"] == 100


def test_a_runner_up_is_another_plan_where_two_lines_share_a_sku() -> None:
    rows = route(
        *two_nodes(),
        counted("A", {"S1": 2}),
        counted("B", {"S1": 2}),
        order("o-1", ("S1", 1), ("S1", 1), ("S2", 1)),
    )

    decision = rows.decision()
    assert decision["nodes"] == ["A"]
    assert decision["runner_up_nodes"] == ["B"]
    assert decision["second_runner_up_nodes"] == []


def test_a_runner_up_of_a_greedy_cover_is_another_plan_too() -> None:
    lines = [(f"S{i}", 1) for i in range(1, 7)]
    rows = route(
        *two_nodes(),
        counted("A", {"S1": 1, "S2": 1, "S3": 1, "S4": 1}),
        counted("B", {"S5": 1, "S6": 1}),
        order("o-1", *lines),
    )

    decision = rows.decision()
    assert decision["nodes"] == ["A", "B"]
    assert decision["runner_up_nodes"] == ["A"]
    assert decision["second_runner_up_nodes"] == ["B"]


def two_nodes() -> list[Event]:
    """A is the cheaper one."""
    return [node("A"), node("B"), lane("A", cost=500), lane("B", cost=600)]
