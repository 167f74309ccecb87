"""The view of works: two axes and the units of each node, whatever the order of arrival."""

from collections.abc import Iterable
from typing import Any

import pytest

from schemas.codes import Classifier
from schemas.envelope import Event
from schemas.tables import Table, to_tables
from schemas.work import (
    WorkAccepted,
    WorkHandedOver,
    WorkPicked,
    WorkRejected,
    WorkShortPicked,
)
from tests.support.journeys import disturbed, records
from tests.support.tracks import answered, moment, offered, step, track
from tests.support.views import rows_of

OFFER = offered(1, "A", ship_date="2026-01-06", cause=1)


def works(events: Iterable[Event]) -> list[dict[str, Any]]:
    return rows_of("works", timeline=to_tables(track(events).effects)[Table.TIMELINE])


def axes(*events: Event) -> tuple[str, str]:
    """Execution and negotiation of the only work."""
    (row,) = works(events)
    return row["execution"], row["negotiation"]


def units(*events: Event) -> tuple[int, int, int]:
    """Total, fulfilled and cancelled units of the only work."""
    (row,) = works(events)
    return row["total"], row["fulfilled"], row["cancelled"]


def test_work_goes_from_its_offer_to_its_hand_over() -> None:
    answers = [answered(c, 2 + n, "A") for n, c in enumerate((WorkAccepted, WorkPicked))]
    events = [OFFER, *answers, answered(WorkHandedOver, 4, "A")]

    assert [axes(*events[: n + 1]) for n in range(4)] == [
        ("OPEN", "OFFERED"),
        ("OPEN", "ACCEPTED"),
        ("IN_PROGRESS", "ACCEPTED"),
        ("CLOSED", "ACCEPTED"),
    ]
    assert units(*events) == (2, 2, 0)


def test_an_offer_says_when_it_was_made_and_by_when_it_is_to_be_shipped() -> None:
    (row,) = works([OFFER])

    assert (row["attempt"], row["offered_at"]) == (1, moment(1))
    assert row["ship_by"] == moment(39)  # the end of the sixth, UTC


def test_work_is_to_be_shipped_by_the_end_of_the_nodes_day() -> None:
    (row,) = works([offered(1, "A", ship_date="2026-01-06", ship_by=47)])

    assert row["ship_by"] == moment(47)


def test_units_handed_over_in_part_leave_the_rest_to_be_done() -> None:
    events = OFFER, answered(WorkHandedOver, 4, "A", qty=1)

    assert (axes(*events), units(*events)) == (("IN_PROGRESS", "ACCEPTED"), (2, 1, 0))


def test_work_of_which_units_were_not_found_ends_incomplete() -> None:
    events = [
        OFFER,
        answered(WorkShortPicked, 2, "A", qty=1),
        offered(3, "A", qty=1, cause=3, withdrawn=True),
        answered(WorkHandedOver, 4, "A"),
    ]

    assert (axes(*events), units(*events)) == (("INCOMPLETE", "ACCEPTED"), (2, 1, 1))


def test_work_that_was_refused_is_cancelled_and_may_be_offered_again() -> None:
    refusal, back = answered(WorkRejected, 2, "A"), offered(3, "A", cause=3, withdrawn=True)
    again = offered(5, "A", cause=5)

    assert axes(OFFER, refusal) == ("OPEN", "REJECTED")
    assert axes(OFFER, refusal, back) == ("CANCELLED", "REJECTED")
    assert axes(OFFER, back) == ("CANCELLED", "WITHDRAWN")
    (row,) = works([OFFER, refusal, back, again])
    assert (row["execution"], row["negotiation"], row["attempt"]) == ("OPEN", "OFFERED", 2)
    assert (row["total"], row["cancelled"]) == (4, 2)


def test_lines_that_are_refused_leave_the_rest_as_it_was() -> None:
    assert axes(OFFER, answered(WorkRejected, 2, "A", qty=1)) == ("OPEN", "OFFERED")


def test_a_parcel_that_left_the_node_says_as_much_as_a_hand_over_until_it_is_taken_back() -> None:
    left = step("handed_over", 4, node="A", event_id="left")
    wrong = step("handed_over", 5, classifier=Classifier.RETRACTED, retracts="left")

    assert axes(OFFER, left) == ("CLOSED", "ACCEPTED")
    assert axes(OFFER, left, wrong) == ("OPEN", "OFFERED")


def test_what_is_offered_after_a_hand_over_is_still_to_be_done() -> None:
    events = OFFER, answered(WorkHandedOver, 4, "A"), offered(6, "A", qty=3, cause=6)

    assert (axes(*events), units(*events)) == (("IN_PROGRESS", "OFFERED"), (5, 2, 0))


@pytest.mark.parametrize("seed", range(20))
def test_no_work_counts_more_units_than_were_offered_in_whatever_order_it_is_told(
    seed: int,
) -> None:
    events = records(seed, 24)

    found = works(events)

    assert len(found) > 5
    for row in found:
        done = row["fulfilled"] + row["cancelled"]
        assert 0 <= min(row["fulfilled"], row["cancelled"]) <= done <= row["total"], row
        assert (row["execution"] in ("OPEN", "IN_PROGRESS")) == (done < row["total"]), row
    assert _lasting(works(disturbed(events, seed))) == _lasting(found)


def _lasting(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "position"} for row in rows]
