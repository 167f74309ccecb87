"""The state of one partition of the tracking log, and how it grows, forgets and is kept."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from models.heap import Heap, Slot
from models.intake.clock import Clock
from models.intake.columns import NO_TIME
from models.ledger import window
from models.ledger.names import Names
from models.lifecycle.steps import Step
from models.policy.document import Policy, default_policy
from models.tracking.arrays import (
    BLOCK,
    CLASSES,
    ENTRY,
    FACT_WORDS,
    FIX,
    MAX_ENTRIES,
    MAX_STOPS,
    MOST_ENTERED,
    MOST_SHOWN,
    NEVER,
    NOBODY,
    NOTICE,
    NOTICES,
    ORDER,
    PARCEL,
    REPORT,
    SHOWN,
    STOP,
    WORK,
    Asked,
    Bound,
    Cursor,
    Ints,
    Limit,
    Moved,
    Raised,
    Tables,
    Term,
)
from models.tracking.asking import MOST_ASKED, QUESTION
from models.tracking.causes import MOST_RAISED
from models.tracking.features import N_INPUTS
from models.tracking.forgotten import Forgotten
from models.tracking.goods import name_carriers
from models.tracking.history import MOST_DROPPED, forget
from models.tracking.lane_book import LaneBook
from models.tracking.lanes import BUCKETS, HOUR_US
from models.tracking.road import MOST_SAID
from models.tracking.room import make_room, own, resize
from models.tracking.telling import Told
from models.tracking.terms import Floats, bands_of, limits_of, terms_of
from models.tracking.topics import TOPICS, answered
from models.tracking.verdict import VERDICT

YEAR_US = 366 * 24 * HOUR_US
"""An order with an exception that nobody resolved is remembered so long, so that late news still ends it."""
MOVED_ROWS, RAISED_ROWS = 2 * MOST_SAID, 2 * MOST_RAISED
"""Room for moves and for exceptions, emptied when it is full."""
QUESTIONS = 4_096
"""The same for questions; there is more if a slice is larger."""

_NO_REPORTS, _NO_FIXES = np.zeros(0, REPORT), np.zeros(0, FIX)
_EMPTY_ORDER = np.zeros(1, ORDER)
_EMPTY_ORDER["phase"] = np.iinfo(np.uint8).max
for _word in ("first", "standing", *FACT_WORDS):
    _EMPTY_ORDER[_word] = NOBODY
_EMPTY_ORDER["due"], _EMPTY_ORDER["closed_at"] = NEVER, NO_TIME
_EMPTY_ORDER["known_at"] = NO_TIME
_EMPTY_ORDER["promised"], _EMPTY_ORDER["ask_at"] = NO_TIME, NEVER


class TrackState:
    """Orders that are on their way, in the order in which the log first names them.

    Attributes:
        partition: the log partition.
        policy_override: counts in place of the log's own policies.
        position: last record read; -1 before any.
        clock: of the partition.
        keys: ``tenant/network/order`` by row of ``orders``.
        words: parcels, nodes, devices, and what the facts of orders name.
        networks: ``tenant/network`` by row of ``terms``.
        policies: of each of them.
        orders: rows of ``ORDER``.
        entries: their histories, rows of ``ENTRY``.
        terms: (networks, len(Term)) deadlines in us.
        records: read so far; forgetting goes by it.
        lanes: what deliveries took.
        told: what was told of arrivals.
        forgotten: keys of orders that were.
        models: sha256 of the model of each network; empty: the histories of lanes alone.
    """

    def __init__(self, partition: int, policy_override: Policy | None = None, position: int = -1):
        self.partition = partition
        self.policy_override = policy_override
        self.position = position
        self.clock = Clock()
        self.keys, self.words, self.networks = Names(), Names(), Names()
        self.orders: npt.NDArray[Any] = np.repeat(_EMPTY_ORDER, 64)
        self.entries: npt.NDArray[Any] = np.zeros(256, ENTRY)
        self.blocks: Ints = np.full(1, NEVER)
        self.terms: Ints = np.zeros((0, len(Term)), np.int64)
        self.bands: Floats = np.zeros((0, len(CLASSES), len(Bound)))
        self.limits: Floats = np.zeros((0, len(Limit)))
        self.answered: npt.NDArray[np.bool_] = np.zeros((0, TOPICS), np.bool_)
        self.policies: list[Policy] = []
        self.seen = Heap(len(Slot))
        window.new_window(self.seen)
        self.cursor: Ints = np.zeros(len(Cursor), np.int64)
        self.cursor[[Cursor.FREE, Cursor.LANES]] = NOBODY, 1  # the first row is the unknown lane
        self.records = 0
        self.lanes, self.told, self.forgotten = LaneBook(), Told(), Forgotten()
        self.met = 0  # orders of which it is known whether they were forgotten
        self.models: list[str] = []
        self.asked = _room_for(0)
        self.scratch = (
            np.zeros(MAX_ENTRIES, PARCEL),
            np.zeros(MAX_ENTRIES, WORK),
            np.zeros(MAX_STOPS, STOP),
            np.zeros(MOST_SHOWN, SHOWN),
        )
        self.notices = np.zeros(NOTICES, NOTICE)
        self.raised: Ints = np.zeros((RAISED_ROWS, len(Raised)), np.int64)
        self.verdict = np.zeros(1, VERDICT)

    def tables(
        self,
        records: npt.NDArray[Any],
        facts: npt.NDArray[Any],
        reports: npt.NDArray[Any] = _NO_REPORTS,
        fixes: npt.NDArray[Any] = _NO_FIXES,
    ) -> Tables:
        """What the walk works on, with room for these records."""
        n = len(records)
        self._grow()
        if n > len(self.asked.questions):
            self.asked = _room_for(n)
        heard = int((records["entry"]["step"] >= Step.BOUND).sum()) + self._may_drop(records)
        if heard:
            window.make_room(self.seen, heard)
        return Tables(
            self.orders,
            self.entries,
            self.blocks,
            self.terms,
            self.bands,
            self.limits,
            self.answered,
            records,
            reports,
            fixes,
            facts,
            np.full(n, NOBODY, np.int32),
            np.zeros((n, 2), np.uint8),
            np.zeros(n, np.uint8),
            self.raised,
            np.zeros((MOVED_ROWS, len(Moved)), np.int64),
            self.notices,
            *self.scratch,
            self.seen.addresses,
            self.cursor,
            self.lanes.tables,
            self.asked,
        )

    def _may_drop(self, records: npt.NDArray[Any]) -> int:
        """How many keys the histories that may be full by then can put into the window."""
        mine = records[records["order"] >= 0]
        orders, which = np.unique(mine["order"], return_inverse=True)
        is_device = mine["entry"]["step"] >= Step.BOUND
        more = np.bincount(which, np.where(is_device, MAX_ENTRIES, 3), len(orders))
        is_near = self.orders["entries"][orders] + more + 2 > MAX_ENTRIES
        return MOST_DROPPED * int((is_near[which] & ~is_device).sum())

    def set_policy(self, network: str, policy: Policy) -> None:
        """From here on this policy counts for a network; its orders are looked at again."""
        row = self.networks.intern_one(network)
        self.know_networks()
        self.terms[row] = terms_of(policy)
        self.bands[row], self.limits[row] = bands_of(policy), limits_of(policy)
        self.policies[row], self.answered[row] = policy, answered(policy)
        known = self.orders["first"] != NOBODY  # not those that a record is only about to name
        self.orders["due"][known & (self.orders["network"] == row)] = NO_TIME
        self.blocks[:] = NO_TIME

    def know_networks(self) -> None:
        """Give new networks the terms of the policy in force."""
        missing = len(self.networks) - len(self.terms)
        if missing > 0:
            policy = self.policy_override or default_policy()
            self.terms = np.concatenate([self.terms, *[terms_of(policy)[None]] * missing])
            self.bands = np.concatenate([self.bands, *[bands_of(policy)[None]] * missing])
            self.limits = np.concatenate([self.limits, *[limits_of(policy)[None]] * missing])
            self.answered = np.concatenate([self.answered, *[answered(policy)[None]] * missing])
            self.policies += [policy] * missing
            self.models += [""] * missing

    def take_questions(self) -> list[tuple[npt.NDArray[Any], ...]]:
        """Questions, their features, and a notice of each; there is room for others after."""
        count = int(self.cursor[Cursor.ASKED])
        self.cursor[Cursor.ASKED] = 0
        asked = self.asked.questions, self.asked.features, self.asked.notices
        return [tuple(part[:count].copy() for part in asked)][:count]

    def roomy(self, tables: Tables) -> Tables:
        """The same with room for the next record."""
        self._grow()
        return tables._replace(entries=self.entries, lanes=self.lanes.tables)

    def take_notices(self) -> npt.NDArray[Any]:
        """Those that the walk made; there is room for others after."""
        count = int(self.cursor[Cursor.NOTICED])
        self.cursor[Cursor.NOTICED] = 0
        return self.notices[:count]

    def _grow(self) -> None:
        self.lanes.grow(int(self.cursor[Cursor.LANES]), len(self.networks))
        orders, entries = len(self.keys), int(self.cursor[Cursor.USED]) + MOST_ENTERED
        have = len(self.orders)
        make_room(self.orders, orders)
        self.orders[have:] = _EMPTY_ORDER
        if orders > self.met:
            new = np.arange(self.met, orders, dtype=np.int32)
            self.orders["was_forgotten"][new] = self.forgotten.holds(self.keys.take(new))
            self.met = orders
        blocks = -(-len(self.orders) // BLOCK)
        if blocks > len(self.blocks):
            more = np.full(blocks - len(self.blocks), NEVER)
            self.blocks = np.concatenate([self.blocks, more])
        make_room(self.entries, entries)

    def forget_closed(self, clock: int) -> None:
        """Drop the orders that are over since long, and every word that nothing refers to.

        The largest tables go first, so that there is memory for what is made of the others.
        """
        held = self.orders[: len(self.keys)]
        held["known_at"][held["known_at"] == NO_TIME] = clock  # from before the first tick
        self.cursor[Cursor.LANES] = self.lanes.forget(int(self.cursor[Cursor.LANES]))
        gone = self._are_gone(clock)
        if 4 * int(gone.sum()) < len(gone):
            return
        kept, lost = (np.flatnonzero(part).astype(np.int32) for part in (~gone, gone))
        until = clock + self.terms[held["network"][lost], Term.RETENTION]
        forget(self.orders, self.entries, self.cursor, gone)
        resize(self.entries, int(self.cursor[Cursor.USED]) + MOST_ENTERED)
        resize(self.orders, max(64, len(kept)))
        self.orders[len(kept) :] = _EMPTY_ORDER
        self.forgotten.add(self.keys.take(lost), until, clock)
        self.keys, self.met = self.keys.kept(kept), len(kept)
        self.told.keep(kept, self._keep_words())
        due = np.full(-(-len(self.orders) // BLOCK) * BLOCK, NEVER)
        due[: len(self.orders)] = self.orders["due"]
        self.blocks = due.reshape(-1, BLOCK).min(axis=1)

    def _are_gone(self, clock: int) -> npt.NDArray[np.bool_]:
        """Of each order, whether it was closed long ago, or nobody has said anything of it for long.

        An order that is not closed is waited for as long as one whose carrier is silent, from the newest
        record or the date told, whichever is later.
        """
        held = self.orders[: len(self.keys)]
        network, known = held["network"], held["known_at"]
        waited = (
            np.clip(held["promised"], known, known + YEAR_US) + self.terms[network, Term.EXPIRED]
        )
        ended = np.where(held["closed_at"] != NO_TIME, held["closed_at"], waited)
        kept_us = np.where(held["raised"] != 0, YEAR_US, self.terms[network, Term.RETENTION])
        gone: npt.NDArray[np.bool_] = ended + kept_us <= clock
        return gone

    def _keep_words(self) -> npt.NDArray[np.int32]:
        """Forget the words that nothing refers to; says what number each word has from here on."""
        lanes = int(self.cursor[Cursor.LANES])
        orders = self.orders[: len(self.keys)]
        entries = self.entries[: int(self.cursor[Cursor.USED])]
        columns = [*(orders[name] for name in FACT_WORDS), entries["package"], entries["node"]]
        reports = np.flatnonzero(name_carriers(entries))
        is_used = np.zeros(len(self.words) + 1, bool)  # the last one is that of NOBODY
        for column in [
            *columns,
            entries["said"][reports],
            self.lanes.words(lanes),
            self.told.words(),
        ]:
            is_used[column] = True
        used = np.flatnonzero(is_used[:-1]).astype(np.int32)
        numbers = np.full(len(is_used), NOBODY, np.int32)
        numbers[used] = np.arange(len(used))
        self.words = self.words.kept(used)
        for column in columns:
            column[:] = numbers[column]
        entries["said"][reports] = numbers[entries["said"][reports]]
        self.lanes.renumber(lanes, numbers)
        return numbers

    def to_arrays(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """What a checkpoint keeps: tables, and values that JSON can take."""
        arrays = {
            "orders": self.orders[: len(self.keys)],
            "entries": self.entries[: int(self.cursor[Cursor.USED])],
            "terms": self.terms,
            "bands": self.bands,
            "limits": self.limits,
            "cursor": self.cursor,
            "seen": window.held_keys(self.seen),
            "seen_state": self.seen[Slot.SEEN_STATE],
        }
        lanes = self.lanes.to_arrays(int(self.cursor[Cursor.LANES]))
        arrays |= {f"lanes/{part}": kept for part, kept in lanes.items()}
        arrays |= {f"forgotten/{part}": kept for part, kept in self.forgotten.to_arrays().items()}
        told = self.told.to_arrays(len(self.keys))
        arrays |= {f"told/{part}": kept for part, kept in told.items()}
        for name in _NAMES:
            names: Names = getattr(self, name)
            arrays |= {f"{name}/{part}": kept for part, kept in names.to_arrays().items()}
        policies = [policy.model_dump_json() for policy in self.policies]
        values = {"records": self.records, "policies": policies, "models": self.models}
        return arrays, values

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Take up what ``to_arrays`` gave; what is copied comes first, as long as there is little else."""
        for name in _NAMES:
            parts = {p: arrays[f"{name}/{p}"] for p in ("offsets", "arena")}
            setattr(self, name, Names.from_arrays(parts))
        self.seen.put(Slot.SEEN_STATE, arrays["seen_state"].copy())
        window.restore(self.seen, arrays["seen"])
        self.lanes.restore({p: arrays[f"lanes/{p}"] for p in ("rows", "counts", "networks")})
        self.told.restore({p: arrays[f"told/{p}"] for p in ("orders", "told", "counts")})
        self.forgotten.restore({p: arrays[f"forgotten/{p}"] for p in ("keys", "until")})
        self.terms, self.cursor = arrays["terms"].copy(), arrays["cursor"].copy()
        self.bands, self.limits = arrays["bands"].copy(), arrays["limits"].copy()
        self.orders, self.entries = own(arrays["orders"]), own(arrays["entries"])
        self.met = len(self.orders)
        self.records, self.models = values["records"], list(values["models"])
        self.policies = [Policy.model_validate_json(policy) for policy in values["policies"]]
        tables = [answered(policy) for policy in self.policies]
        self.answered = np.array(tables, np.bool_).reshape(-1, TOPICS)
        self.blocks = np.full(-(-max(1, len(self.orders)) // BLOCK), NO_TIME)
        self._grow()


_NAMES = ("keys", "words", "networks")


def _room_for(records: int) -> Asked:
    """Room for the questions of so many records; most ask one."""
    room = max(QUESTIONS, records + 2 * MOST_ASKED)
    return Asked(
        np.zeros(room, QUESTION),
        np.zeros((room, N_INPUTS), np.float32),
        np.zeros(room, NOTICE),
        np.zeros((2, BUCKETS)),
    )
