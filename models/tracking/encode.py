"""Records of the tracking log as numbers: the step from Arrow to the kernels.

Names become codes in the order of the log, so that codes do not depend on how it was cut.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.intake.columns import NO_TIME, instants, numbers, pair_keys
from models.lifecycle.steps import STEP_OF, Step
from models.tracking.arrays import (
    ACTUAL,
    EFFECT_BITS,
    NO_PART,
    NOBODY,
    PARTS,
    PLANNED,
    RECORD,
    Ints,
    Records,
)
from models.tracking.judge import BAD_SCORE, BAD_STARS
from models.tracking.places import packed_places
from models.tracking.state import TrackState
from schemas.codes import Classifier, ExceptionCode, Milestone, PaymentState, Trouble
from schemas.kinds import Kind
from schemas.slices import Slice

Rows = npt.NDArray[np.intp]

DAY_US = 86_400_000_000
_CAUSE = r"^\d{1,9}/(?P<position>\d{1,12})/(?P<effect>\d{1,6})$"

DECISIONS = (
    Kind.DECISION_ROUTED,
    Kind.DECISION_REROUTED,
    Kind.DECISION_HELD,
    Kind.DECISION_BACKORDERED,
    Kind.DECISION_UNROUTABLE,
    Kind.DECISION_CANCELLED,
    Kind.REVIEW_REQUESTED,
)
OFFERS = (Kind.WORK_OFFERED, Kind.WORK_WITHDRAWN)
ORDERS = (Kind.ORDER_RECEIVED, Kind.ORDER_AMENDED)
WORK_STEPS = {
    Kind.WORK_ACCEPTED: Step.WORK_ACCEPTED,
    Kind.WORK_REJECTED: Step.WORK_REFUSED,
    Kind.WORK_TIMED_OUT: Step.WORK_REFUSED,
    Kind.WORK_SHORT_PICKED: Step.SHORT_PICKED,
    Kind.WORK_PICKED: Step.PICKED,
    Kind.WORK_PACKED: Step.PACKED,
    Kind.WORK_HANDED_OVER: Step.HANDED_OVER,
}
SERVICE_STEPS = {
    Kind.SERVICE_INSTALLED: Step.INSTALLED,
    Kind.SERVICE_ACCEPTED: Step.ACCEPTED,
    Kind.SERVICE_VISITED: Step.VISITED,
}
ORDER_KINDS = frozenset(
    (
        *DECISIONS,
        *OFFERS,
        *ORDERS,
        *WORK_STEPS,
        *SERVICE_STEPS,
        Kind.ORDER_CANCELLED,
        Kind.PAYMENT_UPDATED,
        Kind.EXCEPTION_RAISED,
        Kind.SHIPMENT_MILESTONE,
        Kind.FEEDBACK_RECEIVED,
        Kind.DEVICE_BOUND,
        Kind.TELEMETRY_SENSOR,
        Kind.TELEMETRY_POSITION,
    )
)
"""Kinds of records that are about one order."""

_OUTCOMES = {
    "FULLY_ROUTED": Step.ROUTED,
    "PARTIALLY_ROUTED": Step.BACKORDERED,  # in part, and what nodes have is known by their work
    "BACKORDERED": Step.BACKORDERED,
    "UNROUTABLE": Step.UNROUTABLE,
    "CANCELLED": Step.CANCELLED,
}
_REASONS = {t.value: int(ExceptionCode[t.name]) if t.value else 0 for t in Trouble}
_CLASSIFIERS = {c.value: number for number, c in enumerate(Classifier)}
_MILESTONES = {m.value: int(STEP_OF[m]) for m in Milestone}
_RETRACTED = _CLASSIFIERS[Classifier.RETRACTED.value]


def encode(state: TrackState, piece: Slice, clock: Ints) -> Records:
    """The records; ``clock`` is log time at each. Ticks have no order."""
    records = np.zeros(len(piece), RECORD)
    records["position"], records["clock"] = piece.positions, clock
    records["order"] = records["network"] = records["detail"] = NOBODY
    entries = records["entry"]
    for name in ("package", "node", "next", "cause"):
        entries[name] = NOBODY
    entries["said"] = entries["also"] = NO_TIME
    entries["position"] = piece.positions
    entries["at"] = instants(piece.envelope["time"])
    entries["key"] = _keys(piece.envelope["source"], piece.envelope["id"])
    rows = np.flatnonzero(np.isin(piece.kinds, [int(k) for k in ORDER_KINDS]))
    if len(rows):
        mine = piece.envelope.take(pa.array(rows))
        network = pc.binary_join_element_wise(mine["tenant"], mine["network"], "/")
        keys = pc.binary_join_element_wise(network, mine["subject"], "/")
        records["network"][rows] = state.networks.intern(network)
        records["order"][rows] = state.keys.intern(keys)
        state.know_networks()
    others = np.flatnonzero(piece.kinds != Kind.CLOCK_TICKED)
    records["order"][np.setdiff1d(others, rows)] = NOBODY - 1
    for code in np.unique(piece.kinds).tolist():
        kind = Kind(code)
        if kind in _ENCODERS:
            found, data = piece.of_kind(kind)
            _ENCODERS[kind](state, kind, piece, found, data, records)
    return records


def _keys(source: pa.StringArray, identity: pa.StringArray) -> npt.NDArray[np.uint64]:
    """64 bits of (source, id): enough within one order. Never 0."""
    mine: npt.NDArray[np.uint64] = np.maximum(pair_keys(source, identity)[:, 0], np.uint64(1))
    return mine


def _words(column: pa.StringArray, numbers_of: dict[str, int]) -> Ints:
    """Known words as their numbers."""
    encoded = column.dictionary_encode()
    table = np.array([numbers_of[w] for w in encoded.dictionary.to_pylist()] or [0], np.int64)
    found: Ints = table[encoded.indices.to_numpy()]
    return found


def named(state: TrackState, column: pa.StringArray) -> npt.NDArray[np.int32]:
    """Codes of words; ``NOBODY`` where one is empty."""
    codes = state.words.intern(column.fill_null(""))
    is_named = pc.utf8_length(column).fill_null(0).to_numpy() > 0
    return np.where(is_named, codes, np.int32(NOBODY))


def sums(lines: pa.ListArray, values: Ints) -> Ints:
    """Sum of a value of each line over the lines of each record."""
    ends = np.cumsum(np.diff(lines.offsets.to_numpy()))
    totals = np.concatenate([[0], np.cumsum(values)])
    found: Ints = np.diff(totals[np.concatenate([[0], ends])])
    return found


def units_of(lines: pa.ListArray) -> Ints:
    """Units of all lines of each record."""
    return sums(lines, numbers(lines.flatten().field("qty")))


def ship_bys_of(offers: pa.RecordBatch) -> Ints:
    """When the node's day is over on which each is to ship, us; ``NO_TIME`` where there is none.

    Work from before it said so counts by the day in UTC.
    """
    said = instants(offers["ship_by_at"])
    began = instants(pc.strptime(offers["ship_date"], "%Y-%m-%d", "us", error_is_null=True))
    days_end = np.where(began == NO_TIME, NO_TIME, began + DAY_US)
    return np.where(said == NO_TIME, days_end, said)


def _causes(piece: Slice, rows: Rows) -> Ints:
    """Where in the journal the cause of the router's records is, from their ids; ``NOBODY`` of others."""
    parts = pc.extract_regex(piece.envelope["id"].take(pa.array(rows)), _CAUSE)
    position, effect = (
        pc.struct_field(parts, name).cast(pa.int64()).fill_null(NOBODY).to_numpy()
        for name in ("position", "effect")
    )
    causes: Ints = np.where(position < 0, NOBODY, (position << EFFECT_BITS) + effect)
    return causes


def _orders(
    _: TrackState, _k: Kind, _p: Slice, rows: Rows, _d: pa.RecordBatch, records: Records
) -> None:
    records["entry"]["step"][rows] = Step.ORDERED


def _cancellations(
    _: TrackState, _k: Kind, _p: Slice, rows: Rows, data: pa.RecordBatch, records: Records
) -> None:
    whole = pc.list_value_length(data["lines"]).to_numpy(zero_copy_only=False) == 0
    records["entry"]["step"][rows] = np.where(whole, Step.CANCELLED, Step.REPORTED)


def _payments(
    _: TrackState, _k: Kind, _p: Slice, rows: Rows, data: pa.RecordBatch, records: Records
) -> None:
    is_paid = pc.equal(data["state"], PaymentState.AUTHORISED.value)
    paid = is_paid.to_numpy(zero_copy_only=False)
    records["entry"]["step"][rows] = np.where(paid, Step.PAID, Step.REPORTED)


def _decisions(
    _: TrackState, _k: Kind, piece: Slice, rows: Rows, data: pa.RecordBatch, records: Records
) -> None:
    entries, encoded = records["entry"], data["outcome"].dictionary_encode()
    steps = [_OUTCOMES.get(word, Step.HELD) for word in encoded.dictionary.to_pylist()]
    entries["step"][rows] = np.array(steps or [Step.HELD], np.uint8)[encoded.indices.to_numpy()]
    entries["said"][rows] = instants(data["latest_commit_at"])
    entries["cause"][rows] = _causes(piece, rows)
    late = np.rint(PARTS * data["late_probability"].fill_null(NO_PART / PARTS).to_numpy())
    entries["classifier"][rows] = np.clip(late, 0, NO_PART)


def _offers(
    state: TrackState, kind: Kind, piece: Slice, rows: Rows, data: pa.RecordBatch,
    records: Records,
) -> None:  # fmt: skip
    entries = records["entry"]
    entries["step"][rows] = Step.OFFERED if kind is Kind.WORK_OFFERED else Step.WITHDRAWN
    entries["node"][rows] = named(state, data["node"])
    entries["said"][rows] = units_of(data["lines"])
    entries["cause"][rows] = _causes(piece, rows)
    entries["package"][rows] = named(state, data["lane_id"])
    entries["also"][rows] = ship_bys_of(data)


def _answers(
    state: TrackState, kind: Kind, _p: Slice, rows: Rows, data: pa.RecordBatch, records: Records
) -> None:
    """What a node answers; a package that only the node tells of is named like the node."""
    entries = records["entry"]
    entries["step"][rows] = WORK_STEPS[kind]
    entries["node"][rows] = entries["package"][rows] = named(state, data["node"])
    entries["said"][rows] = NOBODY


def _milestones(
    state: TrackState, _k: Kind, piece: Slice, rows: Rows, data: pa.RecordBatch,
    records: Records,
) -> None:  # fmt: skip
    entries = records["entry"]
    classifiers = _words(data["classifier"], _CLASSIFIERS)
    steps = _words(data["milestone"], _MILESTONES)
    entries["step"][rows] = np.where(classifiers == _RETRACTED, Step.RETRACTED, steps)
    entries["classifier"][rows] = np.where(classifiers == _RETRACTED, ACTUAL, classifiers)
    is_actual, carriers = classifiers == ACTUAL, named(state, data["carrier"])
    entries["said"][rows] = np.where(is_actual, carriers, instants(data["at"]))
    entries["package"][rows] = named(state, data["package"])
    entries["node"][rows] = named(state, data["node"])
    entries["reason"][rows] = _words(data["reason"], _REASONS)
    is_placed = (classifiers == PLANNED) & data["place"].is_valid().to_numpy(zero_copy_only=False)
    if is_placed.any():
        place, placed = data["place"].filter(pa.array(is_placed)), rows[is_placed]
        point = (place.field(name).to_numpy() for name in ("latitude", "longitude"))
        entries["also"][placed] = packed_places(*point)
        entries["cause"][placed] = np.ceil(place.field("radius_m").to_numpy())
    takes_back = pc.utf8_length(data["retracts"]).to_numpy() > 0
    if takes_back.any():
        sources = piece.envelope["source"].take(pa.array(rows))
        records["retracts"][rows] = np.where(takes_back, _keys(sources, data["retracts"]), 0)


def _services(
    _: TrackState, kind: Kind, _p: Slice, rows: Rows, data: pa.RecordBatch, records: Records
) -> None:
    records["entry"]["step"][rows] = SERVICE_STEPS[kind]
    records["entry"]["reason"][rows] = ~data["fixed"].to_numpy(zero_copy_only=False)


def _feedback(
    _: TrackState, _k: Kind, _p: Slice, rows: Rows, data: pa.RecordBatch, records: Records
) -> None:
    nps, csat = (data[name].fill_null(10).to_numpy() for name in ("nps", "csat"))
    bad = (nps <= BAD_SCORE) | (csat <= BAD_STARS)
    entries = records["entry"]
    entries["step"][rows] = Step.FEEDBACK
    entries["reason"][rows] = np.where(bad, int(ExceptionCode.FEEDBACK_NEGATIVE), 0)


def _reports(
    _: TrackState, _k: Kind, piece: Slice, rows: Rows, _d: pa.RecordBatch, records: Records
) -> None:
    records["entry"]["step"][rows] = Step.REPORTED
    records["entry"]["cause"][rows] = _causes(piece, rows)


_Encoder = Callable[[TrackState, Kind, Slice, Rows, pa.RecordBatch, Records], None]
_ENCODERS: dict[Kind, _Encoder] = {
    **dict.fromkeys(ORDERS, _orders),
    **dict.fromkeys(DECISIONS, _decisions),
    **dict.fromkeys(OFFERS, _offers),
    **dict.fromkeys(WORK_STEPS, _answers),
    **dict.fromkeys(SERVICE_STEPS, _services),
    Kind.ORDER_CANCELLED: _cancellations,
    Kind.PAYMENT_UPDATED: _payments,
    Kind.SHIPMENT_MILESTONE: _milestones,
    Kind.FEEDBACK_RECEIVED: _feedback,
    Kind.EXCEPTION_RAISED: _reports,
}
