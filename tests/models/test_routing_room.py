"""Tables grow with what they must hold, and with nothing else."""

from models.heap import Slot
from models.routing.fold import RouteState
from tests.support.builders import (
    Rows,
    adjusted,
    at,
    counted,
    effects_of,
    journal,
    lane,
    node,
    order,
    route,
)


def test_room_for_allocations_is_not_made_when_only_decisions_need_room() -> None:
    state = RouteState(0)
    orders = [order(f"o-{i}") for i in range(2_100)]

    effects_of(journal(node("A"), *orders), state=state)

    (network,) = state.networks.values()
    assert len(network.heap[Slot.ALLOCATIONS]) == 16_384


def test_there_is_room_for_a_dead_letter_per_item() -> None:
    full = {f"S{i}": 1_000_000_000 for i in range(600)}
    log = [node("A"), *(adjusted("A", full) for _ in range(30))]

    rows = route(*log)

    assert rows.reasons() == ["QUANTITY_OVERFLOW"] * 600 * 28


def test_a_table_that_grows_in_the_midst_of_a_recall_loses_nobody() -> None:
    names = [f"o-{i}" for i in range(16_370)]  # all but a few rows of the table
    plenty = {"S1": 20_000}
    log = [
        *(node(name) for name in "AB"),
        *(lane(name, cost=cost) for name, cost in (("A", 100.0), ("B", 200.0))),
        *(counted(name, plenty) for name in "AB"),
        *map(order, names),
        node("A", open=False, when=at(60)),
    ]
    state = RouteState(0)

    rows = Rows(effects_of(journal(*log), state=state))

    (network,) = state.networks.values()
    assert len(network.heap[Slot.ALLOCATIONS]) > 16_384
    assert rows.held() == {(name, 1, "B"): 1 for name in names}
