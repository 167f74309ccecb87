"""A decision can be met again: the same candidates, costs and choice, and the state stays untouched."""

import pytest

from models.routing.fold import TILE, RouteState, advance
from models.routing.moments import Question, Winner, copy_of, moment_of
from models.routing.options import candidates_of, options_of
from schemas.codes import Exclusion, PaymentState
from schemas.errors import InputError
from schemas.ids import OrderId
from tests.support.builders import (
    Rows,
    counted,
    effects_of,
    instant,
    journal,
    lane,
    node,
    order,
    payment,
    supply,
)
from tests.support.moments import NETWORK, asked, causes, last_moment
from tests.support.worlds import Shape, world


@pytest.mark.parametrize("seed", [0, 3, 18, 23])
def test_every_choice_of_a_world_is_met_again_as_it_was_recorded(seed: int) -> None:
    met = 0
    for cause in causes(journal(*world(seed, Shape(records=100)))):
        for question, row in asked(cause):
            moment = moment_of(cause, question)
            if moment is None:
                continue
            met += 1
            candidates = {c.node: c.code for c in candidates_of(moment)}
            nodes = moment.network.names["nodes"].listed()
            assert candidates == {
                n: Exclusion(code).name for n, code in zip(nodes, row["exclusions"], strict=True)
            }
            chosen = [option for option in options_of(moment) if option.chosen]
            assert [option.total_minor for option in chosen] == [row["total_minor"]] * bool(
                row["nodes"]
            )
            assert all(round(option.carbon_g) == row["carbon_g"] for option in chosen)
    assert met > 15


def test_a_decision_at_the_end_of_a_tile_is_met_again_before_orders_are_forgotten() -> None:
    met, swept = 0, set()
    for cause in causes(journal(*world(0, Shape(records=100, forgetful=True)))):
        network = cause.state.networks.get(NETWORK)
        if network is not None:
            network.records = TILE - 1
            swept.add(network.swept_at)
            twin = copy_of(cause.state, NETWORK)
            advance(twin, cause.record, cause.scorer_of)
            assert twin.networks[NETWORK].swept_at == network.swept_at
        met += sum(moment_of(cause, question) is not None for question, _ in asked(cause))
    assert met > 15
    assert len(swept) > 2


def test_meeting_decisions_again_leaves_the_state_as_it_is() -> None:
    piece, state = journal(*world(5, Shape(records=60))), RouteState(0)
    half = len(piece) // 2
    rows = Rows(effects_of(piece.cut(0, half), state=state))
    for cause in causes(piece.cut(half, half + 1), state):
        for question, _ in asked(cause):
            moment = moment_of(cause, question)
            if moment is not None:
                options_of(moment)
    rest = Rows(effects_of(piece.cut(half + 1, len(piece)), state=state))

    plain = Rows(effects_of(piece)).decisions

    after = int(piece.positions[half])
    assert rows.decisions == [row for row in plain if row["position"] < after]
    assert rest.decisions == [row for row in plain if row["position"] > after]


def test_the_second_order_served_by_an_arrival_sees_what_the_first_one_left() -> None:
    cause, question, moment = last_moment(
        node("A"),
        lane("A"),
        supply("p-1", "A", {"S1": 5}),
        order("o-1", ("S1", 3)),
        order("o-2", ("S1", 2)),
        counted("A", {"S1": 5}),
    )

    (candidate,) = candidates_of(moment)

    assert question.order_id == "o-2"
    assert moment.winner == Winner(("A",), ("A>R1",))
    assert candidate.units == 2
    assert cause.state.networks[NETWORK].counts is not moment.network.counts


def test_a_hold_has_no_moment() -> None:
    held = journal(node("A"), lane("A"), order("o-1", payment=PaymentState.PENDING))

    met = [moment_of(cause, question) for cause in causes(held) for question, _ in asked(cause)]

    assert met == [None]


def test_a_decision_that_the_record_does_not_make_is_refused() -> None:
    cause, _, _ = last_moment(node("A"), lane("A"), counted("A"), order("o-1"))

    with pytest.raises(InputError, match="record 3 decides nothing about order o-2"):
        moment_of(cause, Question(NETWORK, OrderId("o-2")))


def test_a_paid_order_is_met_when_it_is_routed() -> None:
    _, _, moment = last_moment(
        node("A"),
        lane("A"),
        counted("A"),
        order("o-1", payment=PaymentState.PENDING, requested_by=instant(7200)),
        payment("o-1"),
    )

    assert moment.choose() == Winner(("A",), ("A>R1",))
