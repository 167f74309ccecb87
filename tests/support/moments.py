"""The moments of a log: every decision with the state that it met."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from models.routing.fold import RouteState, advance
from models.routing.moments import Cause, Moment, Question, copy_of, moment_of
from schemas.envelope import Event
from schemas.ids import OrderId, network_key
from schemas.slices import Slice
from tests.support.builders import Row, Rows, journal, rules_only

NETWORK = network_key("acme", "eu")


def causes(piece: Slice, state: RouteState | None = None) -> Iterator[Cause]:
    """Every record of one network with the state before it, which is advanced afterwards."""
    state = RouteState(piece.partition) if state is None else state
    for row in range(len(piece)):
        record = piece.cut(row, row + 1)
        yield Cause(state, record, rules_only)
        advance(state, record, rules_only)


def asked(cause: Cause) -> Iterator[tuple[Question, Row]]:
    """The record's decisions: as questions, and as the rows that they make."""
    seen = Counter[Any]()
    for row in decisions(cause.state, cause):
        yield Question(NETWORK, OrderId(row["order_id"]), seen[row["order_id"]]), row
        seen[row["order_id"]] += 1


def decisions(state: RouteState, cause: Cause) -> list[Row]:
    """What a copy of the state decides when it takes the record."""
    return Rows([advance(copy_of(state, NETWORK), cause.record, rules_only)]).decisions


def last_moment(*events: Event) -> tuple[Cause, Question, Moment]:
    """What the last decision of a log met; its last record must have caused one."""
    piece = journal(*events)
    state = RouteState(0)
    advance(state, piece.cut(0, len(piece) - 1), rules_only)
    cause = Cause(state, piece.cut(len(piece) - 1, len(piece)), rules_only)
    question = list(asked(cause))[-1][0]
    moment = moment_of(cause, question)
    assert moment is not None
    return cause, question, moment
