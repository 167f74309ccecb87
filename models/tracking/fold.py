"""The tracking fold: ``advance(state, slice) -> effects``.

Cutting changes nothing: the clock is that of each record, names are numbered in log order, and what is
forgotten is forgotten when the state's own record counter crosses a multiple of ``FORGET_EVERY``. And the
order of arrival changes nothing that lasts: see ``judge.py``.
"""

import numpy as np

from models.intake.clock import Passed
from models.policy.document import parse_policy
from models.tracking.answers import answer
from models.tracking.encode import ORDER_KINDS, encode
from models.tracking.facts import encode_facts
from models.tracking.kernel import walk
from models.tracking.rows import Collected
from models.tracking.state import TrackState
from models.tracking.telemetry import encode_telemetry
from schemas.codes import DeadLetterReason
from schemas.errors import PolicyError
from schemas.ids import network_key
from schemas.kinds import Kind
from schemas.slices import Slice
from schemas.tables import Effects

FORGET_EVERY = 65_536
"""Records between two looks for what may be forgotten."""

_POLICY = int(Kind.POLICY_ACTIVATED)
_TAKEN = np.zeros(len(Kind), bool)
_TAKEN[[*ORDER_KINDS, Kind.CLOCK_TICKED, Kind.POLICY_ACTIVATED]] = True


def advance(state: TrackState, piece: Slice) -> Effects:
    """Take a slice; the state is changed in place.

    Args:
        state: of the slice's partition.
        piece: the records after ``state.position``.

    Returns:
        Everything that the records caused.
    """
    passed = state.clock.hear(piece)
    collected = Collected(state.partition)
    foreign = np.flatnonzero(~_TAKEN[piece.kinds])
    if len(foreign):
        detail = "the tracking flow has no use for it; it belongs on the journal"
        collected.refuse(piece, foreign, DeadLetterReason.WRONG_LOG.name, detail)
    start = 0
    while start < len(piece):
        stop = min(len(piece), start + FORGET_EVERY - state.records % FORGET_EVERY)
        _advance(state, piece.cut(start, stop), passed, collected)
        state.records += stop - start
        start = stop
        if state.records % FORGET_EVERY == 0:
            state.forget_closed(int(passed.at(piece.positions[stop - 1 : stop])[0]))
    if len(piece):
        state.position = int(piece.positions[-1])
    return Effects(state.partition, state.position, collected.tables())


def _advance(state: TrackState, piece: Slice, passed: Passed, collected: Collected) -> None:
    """Between two policies everything goes through the walk."""
    start = 0
    for row in [*np.flatnonzero(piece.kinds == _POLICY).tolist(), len(piece)]:
        if row > start:
            _walk(state, piece.cut(start, row), passed, collected)
        if row < len(piece):
            _set_policy(state, piece.cut(row, row + 1), collected)
        start = row + 1


def _set_policy(state: TrackState, piece: Slice, collected: Collected) -> None:
    if state.policy_override is not None:
        return
    envelope = piece.envelope.to_pylist()[0]
    document = piece.of_kind(Kind.POLICY_ACTIVATED)[1]["document"][0].as_py()
    try:
        policy = parse_policy(document, f"policy {envelope['subject']}")
    except PolicyError as error:
        collected.refuse(
            piece, np.zeros(1, np.intp), DeadLetterReason.SCHEMA_INVALID.name, str(error)
        )
        return
    state.set_policy(network_key(envelope["tenant"], envelope["network"]), policy)


def _walk(state: TrackState, piece: Slice, passed: Passed, collected: Collected) -> None:
    records = encode(state, piece, passed.at(piece.positions))
    reports, fixes = encode_telemetry(state, piece, records)
    tables = state.tables(records, encode_facts(state, piece, records), reports, fixes)
    state.cursor[0] = 0
    done = False
    while not done:
        done = bool(walk(tables, len(records), len(state.keys), state.verdict))
        collected.drain(state, piece, tables)
        answer(collected, state, piece, state.take_notices())
        tables = state.roomy(tables)
    collected.add_timeline(state, piece, tables)
    collected.add_telemetry(state, piece, tables)
