"""The transition table of a parcel: for every phase, where each milestone leads.

Theory of operation. A parcel's phase is what its milestones come to when they are taken in the order in which
they happened, whatever the order in which they were learnt. So a late report changes the phase only if it
would have done so in time, and shuffling or repeating reports changes nothing. A milestone that a phase does
not list leaves it as it is: scans after the signature are kept, and move nothing back. Backwards there are
two ways, both real: a return, and a parcel that was taken for lost or damaged and then goes on.

``NONE`` is the phase of a parcel that nothing actual is known of.

Source: domain.md D.3 (crosswalk of schema.org, AfterShip, EPCIS and DCSA).
"""

from collections.abc import Mapping

import numpy as np

from models.lifecycle.steps import MILESTONES, STEP_OF
from schemas.codes import Milestone, Phase

M, P = Milestone, Phase

NONE = len(Phase)
"""Number of the phase before the first; the others are numbered as ``Phase`` lists them."""

_ON_THE_WAY = dict.fromkeys([M.SCANNED, M.DEPARTED, M.ARRIVED, M.CUSTOMS_CLEARED], P.IN_TRANSIT)
_AT_CUSTOMS = dict.fromkeys([M.CUSTOMS_PRESENTED, M.CUSTOMS_HELD], P.CUSTOMS)
_AT_THE_DOOR = {
    M.OUT_FOR_DELIVERY: P.OUT_FOR_DELIVERY,
    M.AVAILABLE_FOR_PICKUP: P.AVAILABLE_FOR_PICKUP,
    M.ATTEMPT_FAILED: P.ATTEMPT_FAILED,
}
_THERE = {M.DELIVERED: P.DELIVERED, M.SIGNED: P.SIGNED}
_BACK = {M.RETURNING: P.RETURNING, M.RETURNED: P.RETURNED}
_AMISS = {M.LOST: P.LOST, M.DAMAGED: P.DAMAGED}
_AFTER_HAND_OVER = _ON_THE_WAY | _AT_CUSTOMS | _AT_THE_DOOR | _THERE | _BACK | _AMISS
_AFTER_PACKING = {M.HANDED_OVER: P.HANDED_OVER} | _AFTER_HAND_OVER

TABLE: Mapping[Phase | None, Mapping[Milestone, Phase]] = {
    None: {M.PACKED: P.PACKED} | _AFTER_PACKING,
    P.PACKED: _AFTER_PACKING,
    P.HANDED_OVER: _AFTER_HAND_OVER,
    P.IN_TRANSIT: _AT_CUSTOMS | _AT_THE_DOOR | _THERE | _BACK | _AMISS,
    P.CUSTOMS: _ON_THE_WAY | _AT_THE_DOOR | _THERE | _BACK | _AMISS,
    P.OUT_FOR_DELIVERY: _AT_THE_DOOR | _THERE | _BACK | _AMISS,
    P.AVAILABLE_FOR_PICKUP: _AT_THE_DOOR | _THERE | _BACK | _AMISS,
    P.ATTEMPT_FAILED: _AT_THE_DOOR | _THERE | _BACK | _AMISS,
    P.DELIVERED: {M.SIGNED: P.SIGNED} | _BACK | {M.DAMAGED: P.DAMAGED},
    P.SIGNED: _BACK | {M.DAMAGED: P.DAMAGED},
    P.RETURNING: {M.RETURNED: P.RETURNED} | _AMISS,
    P.RETURNED: {},
    P.LOST: _AFTER_PACKING | {M.DAMAGED: P.DAMAGED},
    P.DAMAGED: _ON_THE_WAY | _AT_THE_DOOR | _THERE | _BACK | {M.LOST: P.LOST},
}
"""Where each milestone leads from each phase; None: from none."""

_PHASES = list(Phase)


def number(phase: Phase | None) -> int:
    """Of a phase, as the kernels know it."""
    return NONE if phase is None else _PHASES.index(phase)


def phase_name(code: int) -> str:
    """The phase of a number; empty for ``NONE``."""
    return "" if code == NONE else _PHASES[code].value


def _compiled() -> np.ndarray:
    """(NONE + 1, MILESTONES) uint8: the table by numbers; what is not listed stays."""
    table = np.repeat(np.arange(NONE + 1, dtype=np.uint8)[:, None], MILESTONES, axis=1)
    for phase, leads in TABLE.items():
        for milestone, to in leads.items():
            table[number(phase), STEP_OF[milestone]] = number(to)
    return table


NEXT = _compiled()
"""As ``TABLE``, by numbers: ``NEXT[phase, step]``."""

PROGRESS = np.zeros(NONE + 1, np.int64)
"""How far along each phase is: an order is as far as the part of it that is furthest behind."""
for _place, _phases in enumerate(
    (
        (P.VIRTUAL,),
        (P.RECEIVED, P.VALIDATED),
        (P.HELD,),
        (P.BACKORDERED,),
        (P.ROUTED,),
        (P.RELEASED,),
        (P.PICKED,),
        (P.PACKED,),
        (P.HANDED_OVER,),
        (P.IN_TRANSIT,),
        (P.CUSTOMS,),
        (P.OUT_FOR_DELIVERY,),
        (P.AVAILABLE_FOR_PICKUP,),
        (P.ATTEMPT_FAILED,),
        (P.DELIVERED,),
        (P.SIGNED,),
        (P.INSTALLED,),
        (P.ACCEPTED,),
        (P.CLOSED,),
        (P.RETURNING,),
        (P.LOST,),
        (P.DAMAGED,),
        (P.RETURNED,),
        (P.CANCELLED,),
    ),
    start=1,
):
    for _phase in _phases:
        PROGRESS[number(_phase)] = _place
