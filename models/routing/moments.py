"""The state as one decision met it, on a copy of which everything may be changed.

A record can cause several decisions, and each takes stock from those after it. So the record is taken by
a copy in which neither the order in question nor one that was decided after it may be placed anywhere:
what is left is what the decision saw, with the order in the books and its units still to be served.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.heap import Slot
from models.intake.clock import Clock
from models.intake.columns import NO_TIME
from models.policy.document import default_policy
from models.routing.arrays import Cursor, put_scores
from models.routing.candidates import gather_lines
from models.routing.encode import ORDER_KINDS, Encoder
from models.routing.features import N_FEATURES
from models.routing.fold import RouteState, advance
from models.routing.inputs import fill_order
from models.routing.network import Network
from models.routing.plans import choose
from models.routing.scoring import RULES, ScorerOf, score_rows
from schemas.codes import DecisionKind, HoldReason, Trigger
from schemas.errors import InputError
from schemas.ids import NetworkKey, OrderId
from schemas.kinds import Kind
from schemas.slices import Slice
from schemas.tables import Table

_NOBODY = np.empty((0, 2), np.int64)


class Winner(NamedTuple):
    """A plan as far as it is a choice: its nodes and the lane of each; empty where there is none."""

    nodes: tuple[str, ...] = ()
    lane_ids: tuple[str, ...] = ()


class Question(NamedTuple):
    """Which decision of a record."""

    network: NetworkKey
    order_id: OrderId
    nth: int = 0  # of the record's decisions about the order


@dataclass(frozen=True)
class Cause:
    """A record and what it met.

    Attributes:
        state: just before the record; never changed.
        record: a slice of it alone.
        scorer_of: gives the model that a record activated.
    """

    state: RouteState
    record: Slice
    scorer_of: ScorerOf


@dataclass(frozen=True)
class Moment:
    """What a decision met.

    Attributes:
        network: a copy; may be changed.
        order: its row.
        first_row: first of its score rows.
        now: log time, us.
        only_waiting: whether its backordered units alone were decided.
        winner: what was chosen.
    """

    network: Network
    order: int
    first_row: int
    now: int
    only_waiting: bool
    winner: Winner

    def gather(self) -> tuple[int, int, int]:
        """Put the units to be served into the scratch; see ``gather_lines``."""
        n, units, shared = gather_lines(self.network.heap.addresses, self.order, self.only_waiting)
        return int(n), int(units), int(shared)

    def choose(self) -> Winner:
        """What would be chosen in the network as it is now."""
        heap, cursor = self.network.heap, self.network.cursor
        n, units, shared = self.gather()
        if not n:
            return Winner()
        served = choose(heap.addresses, self.order, self.first_row, n, shared, units, self.now)
        if served <= 0 or (self.only_waiting and served < units):
            return Winner()
        packages = heap[Slot.PACKAGE][: cursor[Cursor.PACKAGES]]
        nodes, lanes = (self.network.names[name].listed() for name in ("nodes", "lanes"))
        return Winner(
            tuple(nodes[node] for node in packages[:, 0]),
            tuple(lanes[lane] for lane in packages[:, 1]),
        )


def copy_of(state: RouteState, key: NetworkKey) -> RouteState:
    """A copy of the state with one of its networks alone, for one record.

    No border between two tiles follows that record: the view is not refreshed, no order forgotten.
    """
    network = state.networks.get(key)
    if network is None:
        network = Network(key, state.policy_override or default_policy())
    clock = Clock(state.clock.time, dict(state.clock.said), set(state.clock.retired))
    twin = Network.from_arrays(*network.to_arrays())
    twin.records = 0
    return RouteState(state.partition, state.policy_override, state.position, {key: twin}, clock)


def winner_after(state: RouteState, cause: Cause, question: Question) -> Winner:
    """What is chosen if the record meets this state, which is used up by it."""
    made = [row for row in _decisions(state, cause) if row.order_id == question.order_id]
    return made[question.nth].winner if question.nth < len(made) else Winner()


def moment_of(cause: Cause, question: Question) -> Moment | None:
    """What the decision met.

    None if there was nothing to choose (a hold, a cancellation), or if the record chose for the same
    order before: the order cannot be kept out of one choice and let into the other.

    Raises:
        InputError: the record makes no such decision.
        ValueError: the same choice is not made again (a broken invariant).
    """
    after = copy_of(cause.state, question.network)
    made = _decisions(after, cause)
    about = [i for i, row in enumerate(made) if row.order_id == question.order_id]
    if question.nth >= len(about):
        position = cause.record.positions[0]
        raise InputError(f"record {position} decides nothing about order {question.order_id}")
    at = about[question.nth]
    row = made[at]
    if not row.is_choice or any(made[i].is_choice for i in about[: question.nth]):
        return None
    before = copy_of(cause.state, question.network)
    network = before.networks[question.network]
    _keep_out(network, cause.record, [one.order_id for one in made[:at] if one.is_choice])
    advance(before, cause.record, cause.scorer_of)
    order = network.names["orders"].find_one(question.order_id)
    network.heap[Slot.ORDERS]["shut_out"][order] = 0
    network.heap[Slot.ORDERS]["pinned"][order] = _named_node(network, cause.record)
    only_waiting = row.trigger == Trigger.STOCK_ARRIVED.name
    now = int(network.cursor[Cursor.NOW])
    scored = not only_waiting and cause.record.kinds[0] in ORDER_KINDS
    first_row = int(network.heap[Slot.FIRST_ROW][0]) if scored else _score(cause, network, order)
    moment = Moment(network, order, first_row, now, only_waiting, row.winner)
    if (again := moment.choose()) != row.winner:
        raise ValueError(f"order {question.order_id}: chose {row.winner}, and {again} again")
    return moment


class _Decision(NamedTuple):
    order_id: str
    kind: str
    trigger: str
    hold_reason: str
    winner: Winner

    @property
    def is_choice(self) -> bool:
        chosen_here = self.trigger != Trigger.R_BETTER_PLAN.name  # the planner chose that one
        no_cancel = self.kind != DecisionKind.CANCEL.name
        return chosen_here and no_cancel and self.hold_reason == HoldReason.NONE.name


def _decisions(state: RouteState, cause: Cause) -> list[_Decision]:
    """The record's decisions, in order; the state is used up."""
    effects = advance(state, cause.record, cause.scorer_of)
    names = ("order_id", "kind", "trigger", "hold_reason", "nodes", "lane_ids")
    return [
        _Decision(order_id, kind, trigger, hold, Winner(tuple(nodes), tuple(lanes)))
        for order_id, kind, trigger, hold, nodes, lanes in effects.plain(Table.DECISIONS, names)
    ]


def _named_node(network: Network, record: Slice) -> int:
    """The only node that the record lets serve the order; -1: any."""
    if record.kinds[0] != Kind.REVIEW_DECIDED:
        return -1
    (review,) = record.of_kind(Kind.REVIEW_DECIDED)[1].to_pylist()
    return network.names["nodes"].find_one(review["node"]) if review["verdict"] == "assign" else -1


def _keep_out(network: Network, record: Slice, allowed: list[str]) -> None:
    """Let no node serve any orders but some."""
    Encoder(network.names, record).put_into(network.heap, np.full(1, NO_TIME))
    network.make_room()
    orders = network.names["orders"]
    shut_out = network.heap[Slot.ORDERS]["shut_out"][: len(orders)]
    shut_out[:] = 1
    shut_out[[orders.find_one(order_id) for order_id in allowed]] = 0


def _score(cause: Cause, network: Network, order: int) -> int:
    """Score an order of the books, as the fold does on demand; returns its first row."""
    heap = network.heap
    region = int(heap[Slot.ORDERS]["region"][order])
    lanes = int(np.diff(heap[Slot.REGION_FIRST])[region]) if region >= 0 else 0
    features = np.empty((lanes, N_FEATURES), np.float32)
    fill_order(heap.addresses, order, int(network.cursor[Cursor.NOW]), features)
    scorer = cause.scorer_of(network.model_sha256) if network.model_sha256 else RULES
    put_scores(heap, heap[Slot.FIRST_ROW], _NOBODY, features, score_rows(scorer, features))
    return 0
