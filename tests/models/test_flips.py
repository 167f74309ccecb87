"""Flip statements: the smallest change of a weight, a stock count or a cut-off that changes the winner."""

import pytest

from models.policy.document import Costs, Policy, Weights
from models.routing.changes import Change, CutOffChange, Family, StockChange, WeightChange
from models.routing.flips import Flip, flips_of, verified
from models.routing.fold import RouteState
from models.routing.moments import Cause, Winner, copy_of, moment_of
from schemas.envelope import Event
from tests.support.builders import (
    Row,
    capacity,
    counted,
    journal,
    lane,
    node,
    order,
    policy,
    route,
)
from tests.support.moments import NETWORK, asked, causes, decisions, last_moment
from tests.support.worlds import Shape, world


def flips(*events: Event) -> dict[Family, Flip]:
    return {flip.change.family: flip for flip in flips_of(*last_moment(*events))}


def nodes_of(row: Row) -> list[str]:
    return list(row["nodes"])


SHOP = [
    node("A", handling_per_package_minor=100),
    node("B"),
    lane("A", cost=500),
    lane("B", cost=700),
]


def test_a_weight_flips_where_the_costs_meet() -> None:
    stocked = [*SHOP, counted("A"), counted("B")]

    flip = flips(*stocked, order())[Family.WEIGHT]

    assert flip.change == WeightChange("freight", 1.0, -501)
    assert flip.winner == Winner(("B",), ("B>R1",))
    for weight, nodes in ((0.5, ["A"]), (0.499, ["B"])):
        told = Policy(version="other", weights=Weights(freight=weight))
        assert nodes_of(route(*stocked, policy(told), order()).decision()) == nodes


def test_a_stock_count_flips_by_what_the_cheaper_node_lacks() -> None:
    flip = flips(*SHOP, counted("A", {"S1": 4}), counted("B"), order("o-1", ("S1", 5)))[
        Family.STOCK
    ]

    assert flip.change == StockChange("A", 4, 1, "S1", 5)
    assert flip.winner == Winner(("A",), ("A>R1",))
    for units, nodes in ((5, ["A"]), (4, ["B"])):
        rows = route(*SHOP, counted("A", {"S1": units}), counted("B"), order("o-1", ("S1", 5)))
        assert nodes_of(rows.decision()) == nodes


def test_a_stock_count_flips_by_what_the_winner_has_too_much() -> None:
    flip = flips(*SHOP, counted("A"), counted("B"), order("o-1", ("S1", 4)))[Family.STOCK]

    assert flip.change == StockChange("A", 10, -7, "S1", 4)


def test_stock_that_no_record_named_yet_can_flip() -> None:
    flip = flips(*SHOP, order("o-1", ("S9", 2)))[Family.STOCK]

    assert flip.change == StockChange("A", 0, 1, "S9", 2)
    assert flip.winner.nodes == ("A",)


def test_a_cut_off_flips_by_the_minute_that_would_have_been_in_time() -> None:
    late = Policy(version="hasty", costs=Costs(delivery_hour_minor=60))
    network = [
        node("A"),
        node("B"),
        lane("A", cost=500),
        lane("B", cost=700),
        counted("A"),
        counted("B"),
        policy(late),
    ]

    flip = flips(*network, capacity("A", cut_off_minute=500), order())[Family.CUT_OFF]

    assert flip.change.before == 500
    assert flip.change.after == 541
    assert flip.winner.nodes == ("A",)
    for minute, nodes in ((541, ["A"]), (540, ["B"])):
        rows = route(*network, capacity("A", cut_off_minute=minute), order())
        assert nodes_of(rows.decision()) == nodes


def test_a_cut_off_of_a_single_day_is_changed_where_it_stands() -> None:
    monday = capacity("A", cut_off_minute=600, day=order().time.date())
    network = [node("A"), lane("A"), counted("A"), capacity("A", cut_off_minute=60), monday]
    _, _, moment = last_moment(*network, order())

    change = CutOffChange.on_day_of(moment.network, "A", moment.now)

    assert change is not None
    assert change.before == 600
    change.by(-60).apply(moment.network)
    moment.choose()
    assert CutOffChange.on_day_of(moment.network, "A", moment.now) == CutOffChange(
        "A", 540, 0, change.day
    )


def test_a_node_that_is_closed_that_day_has_no_cut_off() -> None:
    closed = capacity("A", open=False)
    _, _, moment = last_moment(node("A"), lane("A"), counted("A"), closed, order())

    assert CutOffChange.on_day_of(moment.network, "A", moment.now) is None


def test_where_no_lane_leads_nothing_flips() -> None:
    assert flips(node("A"), counted("A"), order()) == {}


def test_a_change_that_the_fold_does_not_confirm_is_no_flip() -> None:
    cause, question, moment = last_moment(*SHOP, counted("A"), counted("B"), order())

    assert verified(cause, question, moment.winner, WeightChange("freight", 1.0, -500)) is None
    assert verified(cause, question, moment.winner, WeightChange("freight", 1.0, -502)) is None


def test_sizes_of_changes_compare() -> None:
    assert WeightChange("freight", 2.0, 500).relative == 0.25
    assert StockChange("A", 40, -10, "S1", 3).relative == 0.25
    assert CutOffChange("A", 600, 360, 20_000).relative == 0.25
    assert StockChange("A", 1, 3, "S1", 4).relative == 0.75


@pytest.mark.parametrize("seed", [1, 4, 6])
def test_every_flip_of_a_world_is_what_the_fold_decides(seed: int) -> None:
    """Verified once more, by rows and not by the code that makes statements."""
    told = 0
    for cause in causes(journal(*world(seed, Shape(records=200)))):
        for question, row in asked(cause):
            moment = moment_of(cause, question)
            for flip in flips_of(cause, question, moment) if moment else []:
                towards_zero = flip.change.by(
                    flip.change.steps - (1 if flip.change.steps > 0 else -1)
                )
                again = [
                    [nodes_of(d) for d in changed(cause.state, cause, change, question.order_id)]
                    for change in (flip.change, towards_zero)
                ]
                assert again[0][question.nth :][:1] in ([list(flip.winner.nodes)], [])
                assert again[1][question.nth] == nodes_of(row)
                told += 1
    assert told >= 5


def changed(state: RouteState, cause: Cause, change: Change, order_id: str) -> list[Row]:
    twin = copy_of(state, NETWORK)
    change.apply(twin.networks[NETWORK])
    return [d for d in decisions(twin, cause) if d["order_id"] == order_id]
