"""The tracking fold: ``advance(state, slice) -> effects``.

Cutting changes nothing: the clock is that of each record, names are numbered in log order, and what is
forgotten is forgotten when the state's own record counter crosses a multiple of ``FORGET_EVERY``. And the
order of arrival changes nothing that lasts: see ``judge.py``.
"""

from collections.abc import Sequence

import numpy as np

from models.intake.clock import Passed
from models.policy.document import parse_policy
from models.tracking.answers import answer
from models.tracking.arrays import Raised, Records
from models.tracking.encode import ORDER_KINDS, encode
from models.tracking.facts import encode_facts
from models.tracking.features import N_OUTPUTS
from models.tracking.kernel import walk
from models.tracking.rows import Collected
from models.tracking.scoring import LANES, ScorerOf, no_models, score_rows
from models.tracking.state import TrackState
from models.tracking.telemetry import encode_telemetry
from models.tracking.telemetry_rows import add_telemetry
from models.tracking.telling import Heard, News
from schemas.codes import DeadLetterReason, ModelOf
from schemas.errors import PolicyError
from schemas.ids import network_key
from schemas.kinds import Kind
from schemas.slices import Slice
from schemas.tables import Effects

FORGET_EVERY = 65_536
"""Records between two looks for what may be forgotten."""

_ACTIVATIONS = (Kind.POLICY_ACTIVATED, Kind.MODEL_ACTIVATED)
_TAKEN = np.zeros(len(Kind), bool)
_TAKEN[[*ORDER_KINDS, Kind.CLOCK_TICKED, *_ACTIVATIONS]] = True


def advance(state: TrackState, piece: Slice, scorer_of: ScorerOf = no_models) -> Effects:
    """Take a slice; the state is changed in place.

    Args:
        state: of the slice's partition.
        piece: the records after ``state.position``.
        scorer_of: gives the model that a record activated.

    Returns:
        Everything that the records caused.

    Raises:
        ModelError: an activated model cannot be had; the state is then unusable.
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
        _advance(state, piece.cut(start, stop), passed, collected, scorer_of)
        state.records += stop - start
        start = stop
        if state.records % FORGET_EVERY == 0:
            state.forget_closed(int(passed.at(piece.positions[stop - 1 : stop])[0]))
    if len(piece):
        state.position = int(piece.positions[-1])
    return Effects(state.partition, state.position, collected.tables())


def _advance(
    state: TrackState, piece: Slice, passed: Passed, collected: Collected, scorer_of: ScorerOf
) -> None:
    """Between two policies or models everything goes through the walk."""
    start = 0
    for row in [*np.flatnonzero(np.isin(piece.kinds, _ACTIVATIONS)).tolist(), len(piece)]:
        if row > start:
            _walk(state, piece.cut(start, row), passed, collected, scorer_of)
        if row < len(piece):
            activate = _set_policy if piece.kinds[row] == Kind.POLICY_ACTIVATED else _set_model
            activate(state, piece.cut(row, row + 1), collected)
        start = row + 1


def _set_model(state: TrackState, piece: Slice, collected: Collected) -> None:
    envelope = piece.envelope.to_pylist()[0]
    activation = piece.of_kind(Kind.MODEL_ACTIVATED)[1].to_pylist()[0]
    if activation["of"] != ModelOf.ARRIVAL.value:
        detail = "it scores for the router, and is activated on the journal"
        collected.refuse(piece, np.zeros(1, np.intp), DeadLetterReason.WRONG_LOG.name, detail)
        return
    row = state.networks.intern_one(network_key(envelope["tenant"], envelope["network"]))
    state.know_networks()
    state.models[row] = activation["sha256"]


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


def _walk(
    state: TrackState, piece: Slice, passed: Passed, collected: Collected, scorer_of: ScorerOf
) -> None:
    records = encode(state, piece, passed.at(piece.positions))
    reports, fixes = encode_telemetry(state, piece, records)
    tables = state.tables(records, encode_facts(state, piece, records), reports, fixes)
    state.cursor[0] = 0
    asked: list[tuple[Records, ...]] = []
    done = False
    while not done:
        done = bool(walk(tables, len(records), len(state.keys), state.verdict))
        collected.drain(state, piece, tables)
        answer(collected, state, piece, state.take_notices())
        asked += state.take_questions()
        tables = state.roomy(tables)
    _answer(state, piece, asked, collected, scorer_of)
    collected.add_timeline(state, piece, tables)
    add_telemetry(collected, state, piece, tables)


def _answer(
    state: TrackState,
    piece: Slice,
    asked: Sequence[tuple[Records, ...]],
    collected: Collected,
    scorer_of: ScorerOf,
) -> None:
    """Score what the walk asked, all at once, and tell what is news."""
    if not asked:
        return
    questions, features, notices = (np.concatenate(parts) for parts in zip(*asked, strict=True))
    hours = np.zeros((len(questions), N_OUTPUTS))
    for network in np.unique(questions["network"]).tolist():
        rows = np.flatnonzero((questions["network"] == network) & ~questions["is_over"])
        sha256 = state.models[network]
        scorer = scorer_of(sha256) if sha256 else LANES
        questions["is_blind"][rows] &= not sha256
        hours[rows] = score_rows(scorer, features[rows]) * questions["scale"][rows, None]
    heard = Heard(questions, hours, piece.positions, state.terms, state.limits)
    news = state.told.take(heard, len(state.keys))
    collected.add_estimates(state, piece, questions, news.estimates)
    collected.add_exceptions(state, piece, news.raised)
    answer(collected, state, piece, _delays(notices, news))


def _delays(notices: Records, news: News) -> Records:
    """Notices of the delays that are predicted, or no longer; as far as the policy answers them."""
    question, expected_at = news.delays.T
    told = notices[question]
    told["change"], told["package"] = news.raised[:, Raised.CHANGE], news.raised[:, Raised.PACKAGE]
    told["other"] = expected_at
    return told[told["topic"] > 0]
