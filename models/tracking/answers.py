"""What becomes of a notice by the policy: notifications for the outbox, and actions.

A notice is looked up by its *situation*: network, topic, change, severity, tier and channel. There are few
of those, so rules are read once for each, and the rest is columns. Exceptions are walked one by one, since
the end of one is told to whom was told of it, and an amount is offered once per order and code.

The indexes of a notice's answers: first its actions, then what is told, then what is told of an amount, each
in the order of the policy.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.lifecycle.transitions import PROGRESS, number
from models.policy.answers import MOST_RULES, Occasion, Rule
from models.policy.document import Policy
from models.tracking.arrays import Change, Ints, Records
from models.tracking.details import Label, details_of, links
from models.tracking.rows import Collected, names, word
from models.tracking.state import TrackState
from models.tracking.topics import EXCEPTIONS_FROM, OCCASIONS_FROM
from models.tracking.verdict import severity_of
from schemas.codes import Action, Audience, ExceptionCode, Phase, Template
from schemas.slices import Slice
from schemas.tables import Table

FIRST_MESSAGE = len(Action)
FIRST_OFFER = FIRST_MESSAGE + MOST_RULES
"""Where among the indexes of a notice's answers messages begin, and those about an amount."""
_AUDIENCES, _TEMPLATES = list(Audience), list(Template)
_CUSTOMER = _AUDIENCES.index(Audience.CUSTOMER)
_DELIVERED = PROGRESS[number(Phase.DELIVERED)]
_PHASES, _OCCASIONS = list(Phase), list(Occasion)
_ENDED = [Rule(to=Audience.CUSTOMER, template=Template.RESOLVED)]


class Situation(NamedTuple):
    """What a notice is about, as far as the policy asks.

    Attributes:
        policy: in force.
        tier: of the order; empty: not known.
        language: of what its customer is told.
        rules: by which somebody is told.
        actions: that are taken.
        code: of the exception, if it is one.
        change: what happened to it.
        label: the same and how bad it is, in words.
        related: bits of the exceptions of which a customer hears by the same text.
    """

    policy: Policy
    tier: str
    language: str
    rules: Sequence[Rule]
    actions: Sequence[Action] = ()
    code: ExceptionCode | None = None
    change: Change | None = None
    label: Label = Label()
    related: int = 0

    @property
    def tells_customer(self) -> bool:
        """Whether a customer hears of it."""
        return any(rule.to is Audience.CUSTOMER for rule in self.rules)


class Act(NamedTuple):
    """An action that a notice calls for; ``amount`` of a compensation."""

    notice: int
    slot: int
    action: Action
    amount: int | None


class Messages(NamedTuple):
    """What is told, a row for each: of which notice, where among its answers, to whom, by which text."""

    notices: Ints
    slots: Ints
    audiences: Ints
    templates: Ints
    amounts: list[int | None]


def answer(collected: Collected, state: TrackState, piece: Slice, notices: Records) -> None:
    """Add what becomes of notices to the rows; those of one exception of one order in their order."""
    if not len(notices):
        return
    situations, which = _situations(state, notices)
    acts, dropped = _act(state, notices, situations, which)
    messages = _with_offers(_messages(situations, which, dropped), acts, situations, which)
    if acts:
        _add_actions(collected, state, piece, notices, acts, [situations[s] for s in which])
    if len(messages.notices):
        _add_messages(collected, state, piece, notices, messages, situations, which)


def _situations(state: TrackState, notices: Records) -> tuple[list[Situation], Ints]:
    """Those that occur, and which of them each notice is in."""
    key = state.orders["network"][notices["order"]].astype(np.int64)
    for name, most in (("topic", 256), ("change", 4), ("is_loud", 2)):
        key = key * most + notices[name]
    for name in ("tier", "channel"):
        codes = _encoded(notices[name])
        key = key * (int(codes.max()) + 1) + codes
    which = _encoded(key)
    first = np.zeros(int(which.max()) + 1, np.int64)
    first[which[::-1]] = np.arange(len(which))[::-1]
    return [_situation(state, notices[n]) for n in first.tolist()], which


def _encoded(values: npt.NDArray[Any]) -> Ints:
    """Numbers from 0 by first appearance."""
    codes: Ints = pa.array(values).dictionary_encode().indices.to_numpy().astype(np.int64)
    return codes


def _situation(state: TrackState, notice: Any) -> Situation:
    policy = state.policies[state.orders["network"][notice["order"]]]
    told, topic = policy.notifications, int(notice["topic"])
    words = names(state, np.array([notice["tier"], notice["channel"]], np.int64)).to_pylist()
    tier = words[0] or ""
    language = told.languages.get(words[1] or "", told.language)
    if topic < EXCEPTIONS_FROM:
        rules = (
            told.phases.get(_PHASES[topic], [])
            if topic < OCCASIONS_FROM
            else told.occasions[_OCCASIONS[topic - OCCASIONS_FROM]]
        )
        return Situation(policy, tier, language, [r for r in rules if r.counts_for(tier)])
    code, change = ExceptionCode(topic - EXCEPTIONS_FROM), Change(notice["change"])
    severity = severity_of(code, bool(notice["is_loud"]))
    seen = told.templates_of(code.name)
    if change is Change.RESOLVED:
        rules, actions = _ENDED, []
    else:
        is_worse = change is Change.ESCALATED
        rules = list(told.on_exception(code.name, tier, severity, is_worse))
        taken = policy.actions.escalated if is_worse else policy.actions.raised
        actions = taken.get(code.name, [])
    related = sum(1 << c for c in ExceptionCode if told.templates_of(c.name) & seen)
    label = Label(code.name, change.name.lower(), severity.value)
    return Situation(policy, tier, language, rules, actions, code, change, label, related)


def _act(
    state: TrackState, notices: Records, situations: Sequence[Situation], which: Ints
) -> tuple[list[Act], npt.NDArray[np.bool_]]:
    """The actions; and which ends of exceptions nobody is told."""
    heard, offered = state.orders["heard"], state.orders["offered"]
    acts, dropped = [], np.zeros(len(notices), np.bool_)
    for n in np.flatnonzero(notices["topic"] >= EXCEPTIONS_FROM).tolist():
        situation, order = situations[which[n]], notices["order"][n]
        assert situation.code is not None
        bit = np.uint64(1 << situation.code)
        if situation.change is Change.RESOLVED:
            dropped[n] = not heard[order] & bit or not _is_told_end(notices[n], situation)
            if not notices["active"][n] & bit:  # nothing else of this code stands
                heard[order] &= ~bit
            continue
        if situation.tells_customer:
            heard[order] |= bit
        for slot, action in enumerate(situation.actions):
            amount = None
            if action is Action.COMPENSATE:
                if offered[order] & bit:
                    continue
                offered[order] |= bit
                compensation, value = situation.policy.compensation, int(notices["value"][n])
                amount = compensation.amount_minor(situation.code.name, value, situation.tier)
            acts.append(Act(n, slot, action, amount))
    return acts, dropped


def _is_told_end(notice: Any, situation: Situation) -> bool:
    """Nobody is told that an excursion is over because it became a worse one, or because all has come."""
    is_still = int(notice["active"]) & situation.related
    return not is_still and bool(PROGRESS[notice["phase"]] < _DELIVERED)


def _messages(
    situations: Sequence[Situation], which: Ints, dropped: npt.NDArray[np.bool_]
) -> Messages:
    """By the rules of each notice's situation."""
    counts = np.array([len(s.rules) for s in situations])
    starts = np.cumsum(counts) - counts
    audiences = np.array([_AUDIENCES.index(r.to) for s in situations for r in s.rules], np.int64)
    texts = [_TEMPLATES.index(r.template) for s in situations for r in s.rules]
    mine = np.where(dropped, 0, counts[which])
    notices = np.repeat(np.arange(len(which)), mine)
    rule = np.arange(len(notices)) - np.repeat(np.cumsum(mine) - mine, mine)
    place = starts[which[notices]] + rule
    texts_of = np.array(texts, np.int64)[place]
    return Messages(
        notices, rule + FIRST_MESSAGE, audiences[place], texts_of, [None] * len(notices)
    )


def _with_offers(
    told: Messages, acts: Sequence[Act], situations: Sequence[Situation], which: Ints
) -> Messages:
    """With what is told of amounts that are proposed."""
    offers = []
    for act in acts:
        situation = situations[which[act.notice]]
        rules = situation.policy.notifications.occasions[Occasion.COMPENSATION]
        for slot, rule in enumerate(rules if act.amount else []):
            if rule.counts_for(situation.tier):
                text = _TEMPLATES.index(rule.template)
                audience = _AUDIENCES.index(rule.to)
                offers.append((act.notice, FIRST_OFFER + slot, audience, text, act.amount))
    if not offers:
        return told
    rows = [*zip(*(part.tolist() for part in told[:4]), told.amounts, strict=True), *offers]
    rows.sort(key=lambda row: row[:2])
    notices, slots, audiences, texts = (
        np.array(part, np.int64) for part in zip(*(row[:4] for row in rows), strict=True)
    )
    return Messages(notices, slots, audiences, texts, [row[4] for row in rows])


def _add_actions(
    collected: Collected,
    state: TrackState,
    piece: Slice,
    notices: Records,
    acts: Sequence[Act],
    situations: Sequence[Situation],
) -> None:
    rows = np.array([act.notice for act in acts])
    mine, their = notices[rows], [situations[n] for n in rows]
    columns = collected.about(state, piece, mine["record"], mine["order"])
    index = mine["index"] + np.array([act.slot for act in acts])
    position, partition = piece.positions[mine["record"]].tolist(), collected.partition
    is_asked = [act.action is Action.REROUTE for act in acts]
    ids = [f"{partition}/{p}/{i}" for p, i in zip(position, index.tolist(), strict=True)]
    is_offer = np.array([act.action is Action.COMPENSATE for act in acts])
    columns |= {
        "index": pa.array(index),
        "package": names(state, mine["package"]),
        "code": pa.array([s.label.code for s in their]),
        "action": pa.array([act.action.value for act in acts]),
        "node": names(state, mine["node"]),
        "amount_minor": pa.array([act.amount for act in acts], pa.int64()),
        "currency": names(state, np.where(is_offer, mine["currency"], -1)),
        "policy_version": pa.array([s.policy.version for s in their]),
        "record_id": pa.array(ids, mask=~np.array(is_asked)),
        "at": piece.envelope["recordedtime"].take(pa.array(mine["record"])),
    }
    collected.add(Table.ACTIONS, columns, len(acts))


def _add_messages(
    collected: Collected,
    state: TrackState,
    piece: Slice,
    notices: Records,
    told: Messages,
    situations: Sequence[Situation],
    which: Ints,
) -> None:
    mine, situation = notices[told.notices], which[told.notices]
    columns = collected.about(state, piece, mine["record"], mine["order"])
    is_customer = told.audiences == _CUSTOMER
    columns |= {
        "index": pa.array(mine["index"] + told.slots),
        "package": names(state, mine["package"]),
        "audience": word(told.audiences, [a.value for a in _AUDIENCES]),
        "template": word(told.templates, [t.value for t in _TEMPLATES]),
        "customer": names(state, np.where(is_customer, mine["customer"], -1)),
        "tier": names(state, mine["tier"]),
        "channel": names(state, mine["channel"]),
        "language": word(situation, [s.language for s in situations]),
        "code": word(situation, [s.label.code for s in situations]),
        "link": links(state, mine["order"]),
        "details": details_of(
            state, piece, mine, [s.label for s in situations], situation, told.amounts
        ),
        "at": piece.envelope["recordedtime"].take(pa.array(mine["record"])),
    }
    collected.add(Table.OUTBOX, columns, len(mine))
