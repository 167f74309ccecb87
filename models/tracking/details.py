"""What the text of a notification may use: ``details`` and ``link`` of the outbox."""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.intake.columns import NO_TIME
from models.policy.answers import Occasion
from models.tracking.arrays import Ints, Records
from models.tracking.rows import names
from models.tracking.state import TrackState
from models.tracking.topics import EXCEPTIONS_FROM, OCCASIONS_FROM, topic_of
from schemas.codes import ExceptionCode, Phase
from schemas.kinds import Kind
from schemas.notifications import Details
from schemas.slices import Slice

DATE_CHANGED = topic_of(Occasion.DATE_CHANGED)
DELAY_PREDICTED = EXCEPTIONS_FROM + ExceptionCode.DELAY_PREDICTED
_PHASES = [phase.value for phase in Phase]
_ENCODER = msgspec.json.Encoder()
_PLAIN = r"^[\w.~-]+/[\w.~-]+/[\w.~-]+$"
"""A tenant, a network and an order that need no quotation in a path."""


class Label(NamedTuple):
    """What is said of an exception; nothing of other notices."""

    code: str | None = None
    change: str | None = None
    severity: str | None = None


def links(state: TrackState, orders: Ints) -> pa.Array:
    """The path of each order's page."""
    keys = state.keys.take(orders.astype(np.int32))
    if not pc.all(pc.match_substring_regex(keys, _PLAIN)).as_py():
        parts = [key.split("/", 2) for key in keys.to_pylist()]
        keys = pa.array(["/".join(quote(part, safe="") for part in key) for key in parts])
    return pc.binary_join_element_wise("/orders", keys, "/")


def details_of(
    state: TrackState, piece: Slice, notices: Records, labels: Sequence[Label],
    amounts: Sequence[int | None],
) -> pa.Array:  # fmt: skip
    """A JSON object for each notice.

    Args:
        state: names parcels and nodes.
        piece: whose records made the notices.
        notices: see ``NOTICE``.
        labels: of each of them.
        amounts: in minor units, where one is offered.
    """
    topics, others = notices["topic"], notices["other"]
    is_reminder = (topics >= OCCASIONS_FROM) & (topics < EXCEPTIONS_FROM) & (topics != DATE_CHANGED)
    is_estimate = topics == DELAY_PREDICTED
    carriers, reasons = _reported(piece, notices)
    columns = (
        [_PHASES[topic] if topic < OCCASIONS_FROM else None for topic in topics.tolist()],
        labels,
        names(state, notices["package"]).to_pylist(),
        names(state, notices["node"]).to_pylist(),
        carriers,
        reasons,
        _said(notices["at"]),
        _said(notices["promise"]),
        _said(np.where(topics == DATE_CHANGED, others, NO_TIME)),
        _said(np.where(is_estimate, others, NO_TIME)),
        _said(np.where(is_reminder, others, NO_TIME)),
        amounts,
        names(state, notices["currency"]).to_pylist(),
    )
    return pa.array([_encoded(*row) for row in zip(*columns, strict=True)], pa.string())


def _encoded(
    phase: str | None, label: Label, package: str | None, node: str | None, carrier: str | None,
    reason: str | None, at: str | None, promise: str | None, previous: str | None,
    estimated: str | None, due: str | None, amount: int | None, currency: str | None,
) -> str:  # fmt: skip
    details = Details(
        phase=phase,
        code=label.code,
        change=label.change,
        severity=label.severity,
        package=package,
        node=node,
        carrier=carrier or None,
        reason=reason or None,
        happened_at=at,
        promise_at=promise,
        previous_promise_at=previous,
        estimated_at=estimated,
        due_at=due,
        amount_minor=amount,
        currency=None if amount is None else currency,
    )
    return _ENCODER.encode(details).decode()


def _reported(piece: Slice, notices: Records) -> tuple[list[str | None], list[str | None]]:
    """Carrier and reason, where a milestone is what moved a parcel."""
    rows, data = piece.of_kind(Kind.SHIPMENT_MILESTONE)
    if not len(rows):
        return [None] * len(notices), [None] * len(notices)
    found = np.minimum(np.searchsorted(rows, notices["record"]), len(rows) - 1)
    is_other = (rows[found] != notices["record"]) | (notices["topic"] >= OCCASIONS_FROM)
    places = pa.array(found, mask=is_other)
    return data["carrier"].take(places).to_pylist(), data["reason"].take(places).to_pylist()


def _said(at: Ints) -> list[str | None]:
    """Instants to the second, as RFC 3339."""
    texts, known = np.full(len(at), None, object), at != NO_TIME
    seconds = np.datetime_as_string(at[known].astype("M8[us]").astype("M8[s]")).tolist()
    texts[known] = [f"{second}Z" for second in seconds]
    found: list[str | None] = texts.tolist()
    return found
