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
from models.tracking.rows import names, word
from models.tracking.state import TrackState
from models.tracking.topics import EXCEPTIONS_FROM, OCCASIONS_FROM, topic_of
from schemas.codes import ExceptionCode, Phase
from schemas.kinds import Kind
from schemas.slices import Slice

DATE_CHANGED = topic_of(Occasion.DATE_CHANGED)
DELAY_PREDICTED = EXCEPTIONS_FROM + ExceptionCode.DELAY_PREDICTED
_PHASES = pa.array([phase.value for phase in Phase])
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
    state: TrackState, piece: Slice, notices: Records, labels: Sequence[Label], which: Ints,
    amounts: Sequence[int | None],
) -> pa.Array:  # fmt: skip
    """A JSON object for each notice, with the members of ``schemas.notifications.Details`` that are known.

    Args:
        state: names parcels and nodes.
        piece: whose records made the notices.
        notices: see ``NOTICE``.
        labels: that occur.
        which: of them each notice has.
        amounts: in minor units, where one is offered.
    """
    topics, others = notices["topic"], notices["other"]
    is_phase, is_date = topics < OCCASIONS_FROM, topics == DATE_CHANGED
    is_estimate = topics == DELAY_PREDICTED
    is_reminder = ~is_phase & (topics < EXCEPTIONS_FROM) & ~is_date
    codes, changes, severities = (word(which, part) for part in zip(*labels, strict=True))
    carriers, reasons = _reported(piece, notices)
    offered = pa.array(amounts, pa.int64())
    columns = {
        "phase": _words(_PHASES.take(pa.array(topics.astype(np.int64), mask=~is_phase))),
        "code": _words(codes),
        "change": _words(changes),
        "severity": _words(severities),
        "package": _words(names(state, notices["package"])),
        "node": _words(names(state, notices["node"])),
        "carrier": _words(carriers),
        "reason": _words(reasons),
        "happened_at": _said(notices["at"]),
        "promise_at": _said(notices["promise"]),
        "previous_promise_at": _said(np.where(is_date, others, NO_TIME)),
        "estimated_at": _said(np.where(is_estimate, others, NO_TIME)),
        "due_at": _said(np.where(is_reminder, others, NO_TIME)),
        "amount_minor": offered.cast(pa.string()),
        "currency": _words(pc.if_else(offered.is_valid(), names(state, notices["currency"]), None)),
    }
    members = [pc.binary_join_element_wise(f'"{k}":', v, "") for k, v in columns.items()]
    body = pc.binary_join_element_wise(*members, ",", null_handling="skip")
    return pc.binary_join_element_wise("{", body, "}", "")


def _words(values: pa.Array) -> pa.Array:
    """Texts as JSON; each distinct one is encoded once."""
    distinct = values.dictionary_encode()
    encoded = [_ENCODER.encode(text).decode() for text in distinct.dictionary.to_pylist()]
    return pa.array(encoded, pa.string()).take(distinct.indices)


def _reported(piece: Slice, notices: Records) -> tuple[pa.Array, pa.Array]:
    """Carrier and reason, where a milestone is what moved a parcel; null where it gave none."""
    rows, data = piece.of_kind(Kind.SHIPMENT_MILESTONE)
    if not len(rows):
        nothing = pa.nulls(len(notices), pa.string())
        return nothing, nothing
    found = np.minimum(np.searchsorted(rows, notices["record"]), len(rows) - 1)
    is_other = (rows[found] != notices["record"]) | (notices["topic"] >= OCCASIONS_FROM)
    places = pa.array(found, mask=is_other)
    carriers, reasons = (data[name].take(places) for name in ("carrier", "reason"))
    return _unless_empty(carriers), _unless_empty(reasons)


def _unless_empty(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _said(at: Ints) -> pa.Array:
    """Instants to the second as JSON, by RFC 3339; null for ``NO_TIME``."""
    seconds = pa.array(at // 1_000_000, mask=at == NO_TIME).cast(pa.timestamp("s"))
    written = pc.utf8_replace_slice(seconds.cast(pa.string()), 10, 11, "T")
    return pc.binary_join_element_wise('"', written, 'Z"', "")
