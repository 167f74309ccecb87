"""The router as a fold: ``advance(state, slice) -> effects``.

Split-invariant: advancing by a slice gives what advancing by its pieces gives, bit for bit, however it
is cut. Three things see to that. The kernels take records one by one. Model inputs read the view, which
is refreshed when the network's own record counter crosses a multiple of ``TILE``. And nothing that is
visible depends on the numbers that names were given.

Networks of one partition share nothing but clock ticks, so each is advanced on its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.heap import Slot
from models.intake.clock import Clock, Passed
from models.intake.columns import instants, string_keys
from models.policy.document import Policy
from models.routing.arrays import Count, Cursor, Field, Stop, put_scores
from models.routing.control import CONTROL_KINDS, ControlRecord, apply_control, link_lanes
from models.routing.drafts import Draft
from models.routing.effects import Effects as NetworkEffects
from models.routing.encode import Encoder
from models.routing.features import N_FEATURES
from models.routing.inputs import fill_order, fill_records
from models.routing.kernel import walk
from models.routing.network import Network
from models.routing.scoring import RULES, Scorer, ScorerOf, score_rows
from schemas.ids import NetworkKey, network_key
from schemas.kinds import Kind
from schemas.slices import Slice
from schemas.tables import Effects

TILE = 512
"""Records between two refreshes of the view that the model's inputs are read from."""

PREFETCH = 32
"""Waiting orders scored at once when the first of them is wanted."""

_CONTROL = np.zeros(len(Kind), bool)
_CONTROL[list(CONTROL_KINDS)] = True
_SCORED = np.zeros(len(Kind), bool)
_SCORED[[Kind.ORDER_RECEIVED, Kind.ORDER_AMENDED]] = True
_NOBODY = np.empty((0, 2), np.int64)


@dataclass
class RouteState:
    """State of one log partition.

    Attributes:
        partition: the log partition.
        policy_override: decides in place of the log's own policies.
        position: last record read; -1 before any.
        networks: in the order in which the log first names them.
        clock: of the partition, the same for all its networks.
    """

    partition: int
    policy_override: Policy | None = None
    position: int = -1
    networks: dict[NetworkKey, Network] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)


class _Scores(NamedTuple):
    """Model rows at hand; see the openers of the same names for the shapes."""

    first_row: npt.NDArray[np.int64]
    asked: npt.NDArray[np.int64]
    features: npt.NDArray[np.float32]
    quantities: npt.NDArray[np.float32]


def advance(state: RouteState, piece: Slice, scorer_of: ScorerOf) -> Effects:
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
    drafts: list[Draft] = []
    taken_by_tick: dict[int, int] = {}
    passed = state.clock.hear(piece)
    parts = list(_by_network(state, piece))
    for key, part in parts:
        network = state.networks.get(key)
        if network is None:
            network = state.networks[key] = Network(key)
            if state.policy_override is not None:
                network.set_policy(state.policy_override)
        run = _Run(network, state, part, passed, scorer_of)
        run.advance()
        if len(parts) > 1:
            _renumber(run.effects.drafts, part, taken_by_tick)
        drafts += run.effects.drafts
    if len(piece):
        state.position = int(piece.positions[-1])
    return Effects(state.partition, state.position, drafts=drafts)


def _by_network(state: RouteState, piece: Slice) -> Iterator[tuple[NetworkKey, Slice]]:
    """Each network's records; clock ticks go to every network that the log has named before.

    The network that a tick itself names is of no account: ticks belong to the partition.
    """
    keys, codes = string_keys(piece.envelope["tenant"], piece.envelope["network"])
    names = [network_key(tenant, network) for tenant, network in keys]
    ticks = piece.kinds == Kind.CLOCK_TICKED
    own = np.flatnonzero(~ticks)
    if len(state.networks) == 1 and {names[c] for c in np.unique(codes[own])} <= set(
        state.networks
    ):
        yield next(iter(state.networks)), piece
        return
    firsts: dict[NetworkKey, int] = dict.fromkeys(state.networks, -1)
    for row in own[np.sort(np.unique(codes[own], return_index=True)[1])]:
        firsts.setdefault(names[codes[row]], int(row))
    for key, first in firsts.items():
        mine = (codes == names.index(key)) & ~ticks if key in names else np.zeros(len(piece), bool)
        heard = ticks & (np.arange(len(piece)) > first)
        rows = np.flatnonzero(mine | heard)
        if len(rows):
            yield key, piece.take(rows)


def _renumber(drafts: Sequence[Draft], piece: Slice, taken: dict[int, int]) -> None:
    """Effects of a tick that several networks heard are numbered on from network to network."""
    ticks = piece.positions[piece.kinds == Kind.CLOCK_TICKED]
    if not len(ticks):
        return
    shifts = np.array([taken.get(int(p), 0) for p in ticks], np.int64)
    used = np.zeros(len(ticks), np.int64)
    for causes in chain.from_iterable(draft.causes() for draft in drafts):
        positions, indexes = causes.T
        at = np.minimum(np.searchsorted(ticks, positions), len(ticks) - 1)
        hit = ticks[at] == positions
        np.add.at(used, at[hit], 1)
        indexes[hit] += shifts[at[hit]]
    for position, count in zip(ticks.tolist(), used.tolist(), strict=True):
        taken[position] = taken.get(position, 0) + count


class _Run:
    """One network's way through one slice."""

    def __init__(
        self,
        network: Network,
        state: RouteState,
        piece: Slice,
        passed: Passed,
        scorer_of: ScorerOf,
    ) -> None:
        self.network = network
        self.state = state
        self.piece = piece
        self.passed = passed
        self.scorer_of = scorer_of
        self.effects = NetworkEffects(network, state.partition)

    def advance(self) -> None:
        """Take the slice run by run: control records in Python, the others in the walk."""
        control = _CONTROL[self.piece.kinds]
        borders = np.flatnonzero(np.diff(control)) + 1
        for a, b in zip([0, *borders], [*borders, len(control)], strict=True):
            if a == b:
                continue
            if control[a]:
                self._control(self.piece.cut(int(a), int(b)))
            else:
                self._walk(self.piece.cut(int(a), int(b)))

    def _control(self, piece: Slice) -> None:
        network = self.network
        for number, record in enumerate(_control_records(piece, self.passed)):
            overridden = self.state.policy_override is not None
            if not (overridden and record.kind is Kind.POLICY_ACTIVATED):
                rows = apply_control(network, record)
                for index, row in enumerate(rows):
                    self.effects.add_row(row.table, row.position, index, row.values)
                if network.recalled is not None:
                    self._take_back(piece.cut(number, number + 1), len(rows))
            network.records += 1
            self._cross_tile(piece.envelope["subject"])
        link_lanes(network)

    def _take_back(self, record: Slice, effects: int) -> None:
        """Let the walk take back the work that a control record affects, and decide it again."""
        network = self.network
        link_lanes(network)
        Encoder(network.names, record).put_into(network.heap, self.passed.at(record.positions))
        network.make_room()
        cursor = network.cursor
        assert network.recalled is not None
        cursor[Cursor.RECALL], cursor[Cursor.RECALL_OF] = network.recalled
        network.recalled = None
        cursor[Cursor.RECORD], cursor[Cursor.EFFECTS] = 0, effects
        cursor[Cursor.LATEST] = network.log_time
        self._part(0, 1, record.envelope["subject"])
        network.log_time = int(cursor[Cursor.LATEST])
        self.effects.drain(record.envelope["subject"])

    def _walk(self, piece: Slice) -> None:
        while len(piece):
            piece = piece.cut(self._walk_until_forgotten(piece), len(piece))

    def _walk_until_forgotten(self, piece: Slice) -> int:
        """Take records up to the next forgetting, which renumbers the orders; returns how many."""
        network = self.network
        Encoder(network.names, piece).put_into(network.heap, self.passed.at(piece.positions))
        network.make_room()
        subjects = piece.envelope["subject"]
        start, end, forgotten = 0, len(piece), False
        network.cursor[Cursor.RECORD] = 0
        while start < end and not forgotten:
            stop = min(end, start + TILE - network.records % TILE)
            network.cursor[Cursor.LATEST] = network.log_time
            self._part(start, stop, subjects)
            network.records += stop - start
            network.log_time = int(network.cursor[Cursor.LATEST])
            start = stop
            forgotten = self._cross_tile(subjects)
        self.effects.drain(subjects)
        return start

    def _cross_tile(self, subjects: pa.StringArray) -> bool:
        """What is due between two tiles; returns whether orders were forgotten."""
        network = self.network
        if network.records % TILE:
            return False
        network.refresh_view()
        if not network.forgetting_is_due():
            return False
        self.effects.drain(subjects)
        network.forget_closed()
        return True

    def _part(self, start: int, stop: int, subjects: pa.StringArray) -> None:
        """Records of one tile: score what is foreseen, then walk."""
        network, heap = self.network, self.network.heap
        scorer = self.scorer_of(network.model_sha256) if network.model_sha256 else RULES
        heap.put(Slot.RANGES, np.stack([scorer.low, scorer.high]))
        foreseen = self._foreseen(start, stop, scorer)
        scores, scored_record = foreseen, -1
        put_scores(heap, *scores)
        while (reason := walk(heap.addresses, stop)) != Stop.DONE:
            if reason == Stop.WANTS_SCORES:
                record = int(network.cursor[Cursor.RECORD])
                scores = self._wanted(scores if record == scored_record else foreseen, scorer)
                scored_record = record
                put_scores(heap, *scores)
            elif reason == Stop.PUBLISH:
                self._publish()
            elif reason == Stop.OUT_OF_LINES:
                network.grow(Slot.LINES)
            else:
                self._make_room(subjects)

    def _make_room(self, subjects: pa.StringArray) -> None:
        """Empty the outputs; if they are empty, a single record needs more room of one sort."""
        network, heap = self.network, self.network.heap
        unused = len(heap[Slot.ALLOCATIONS]) - int(network.counts[Count.ALLOCATIONS])
        if heap[Slot.OUT_LENGTHS].any():
            self.effects.drain(subjects)
        elif unused < len(heap[Slot.MOVE_ROWS]) // 2:  # a piece takes two moves
            network.grow(Slot.ALLOCATIONS)
        else:
            network.grow_outputs()

    def _publish(self) -> None:
        counts, cursor = self.network.counts, self.network.cursor
        position = int(self.network.heap[Slot.RECORDS]["position"][cursor[Cursor.RECORD]])
        clock = int(counts[Count.CLOCK])
        cursor[Cursor.EFFECTS] += self.effects.add_stock(
            position, int(cursor[Cursor.EFFECTS]), clock
        )
        counts[Count.PUBLISHED] = clock

    def _foreseen(self, start: int, stop: int, scorer: Scorer) -> _Scores:
        """Scores of the orders that the records carry."""
        heap = self.network.heap
        records, lanes = heap[Slot.RECORDS], np.diff(heap[Slot.REGION_FIRST])
        chosen = np.flatnonzero(_SCORED[records["kind"][start:stop]]) + start
        regions = heap[Slot.FIELDS][chosen, Field.REGION]
        features = np.empty((int(lanes[regions].sum()), N_FEATURES), np.float32)
        first_row = np.full(len(records), -1, np.int64)
        now = records["record_time"][chosen]
        fill_records(heap.addresses, chosen, now, first_row, features)
        return _Scores(first_row, _NOBODY, features, score_rows(scorer, features))

    def _wanted(self, scores: _Scores, scorer: Scorer) -> _Scores:
        """The scores with those of the wanted order, and of some that wait behind it, added."""
        heap, cursor = self.network.heap, self.network.cursor
        lines, orders = heap[Slot.LINES], [int(cursor[Cursor.WANTED])]
        again = heap[Slot.AGAIN][: int(cursor[Cursor.AGAIN]), 0][::-1]
        orders += [order for order in again[:PREFETCH].tolist() if order != orders[0]]
        line = int(cursor[Cursor.WAITING])
        while line >= 0 and len(orders) < PREFETCH:
            order = int(lines["order"][line])
            if order not in orders:
                orders.append(order)
            line = int(lines["next_waiting"][line])
        lanes = np.diff(heap[Slot.REGION_FIRST])
        counts = lanes[heap[Slot.ORDERS]["region"][orders]]
        firsts = np.cumsum(counts) - counts
        features = np.empty((int(counts.sum()), N_FEATURES), np.float32)
        for order, first, count in zip(orders, firsts, counts, strict=True):
            fill_order(
                heap.addresses, order, int(cursor[Cursor.NOW]), features[first : first + count]
            )
        asked = np.column_stack([orders, firsts + len(scores.features)])
        quantities = score_rows(scorer, features)
        return _Scores(
            scores.first_row,
            np.concatenate([scores.asked, asked]),
            np.concatenate([scores.features, features]),
            np.concatenate([scores.quantities, quantities]),
        )


def _control_records(piece: Slice, passed: Passed) -> Iterator[ControlRecord]:
    from_kind: dict[int, Iterator[dict[str, Any]]] = {}
    for code in np.unique(piece.kinds).tolist():
        from_kind[code] = iter(piece.of_kind(Kind(code))[1].to_pylist())
    subjects = piece.envelope["subject"].to_pylist()
    times = instants(piece.envelope["time"]).tolist()
    record_times = instants(piece.envelope["recordedtime"]).tolist()
    clock, keys = passed.at(piece.positions).tolist(), Encoder.keys_of(piece)
    for i, code in enumerate(piece.kinds.tolist()):
        yield ControlRecord(
            Kind(code),
            int(piece.positions[i]),
            subjects[i],
            times[i],
            record_times[i],
            clock[i],
            (keys[i, 0], keys[i, 1]),
            next(from_kind[code]),
        )
