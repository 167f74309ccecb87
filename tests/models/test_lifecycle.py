"""The transition table of a parcel: every phase with every milestone."""

import pytest

from models.lifecycle.steps import MILESTONES, STEP_OF, Step
from models.lifecycle.transitions import NEXT, NONE, PROGRESS, TABLE, number, phase_name
from schemas.codes import Milestone, Phase

OF_PARCELS = [phase for phase in TABLE if phase is not None]


@pytest.mark.parametrize("phase", list(TABLE), ids=str)
@pytest.mark.parametrize("milestone", list(Milestone))
def test_every_phase_and_milestone_lead_where_the_table_says(
    phase: Phase | None, milestone: Milestone
) -> None:
    leads = NEXT[number(phase), STEP_OF[milestone]]

    assert leads == number(TABLE[phase].get(milestone, phase))


@pytest.mark.parametrize("phase", OF_PARCELS)
def test_a_parcel_goes_back_only_where_it_was_thought_lost_or_damaged(phase: Phase) -> None:
    if phase in (Phase.LOST, Phase.DAMAGED):
        return
    at_the_door = {Phase.OUT_FOR_DELIVERY, Phase.AVAILABLE_FOR_PICKUP, Phase.ATTEMPT_FAILED}
    for to in TABLE[phase].values():
        again = {phase, to} <= at_the_door or (phase, to) == (Phase.CUSTOMS, Phase.IN_TRANSIT)
        amiss = phase is Phase.RETURNING and to in (Phase.LOST, Phase.DAMAGED, Phase.RETURNED)
        assert again or amiss or PROGRESS[number(to)] > PROGRESS[number(phase)]


def test_every_phase_that_a_parcel_can_reach_has_a_row() -> None:
    reached = {to for leads in TABLE.values() for to in leads.values()}

    assert reached == set(OF_PARCELS)


def test_milestones_are_the_first_steps_and_every_phase_has_its_place() -> None:
    assert [Step(n).name for n in range(MILESTONES)] == [m.name for m in Milestone]
    assert sorted(PROGRESS[: len(Phase)]) == sorted(PROGRESS[number(p)] for p in Phase)
    assert all(PROGRESS[number(phase)] > 0 for phase in Phase)
    assert (phase_name(NONE), PROGRESS[NONE]) == ("", 0)
