"""When parcels will be there, as the tracking fold tells it: estimates, predicted delays, what lanes teach."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pytest

from models.policy.document import parse_policy
from models.tracking.features import N_OUTPUTS, Input
from models.tracking.lane_book import LEGS, MAX_LANES
from models.tracking.lanes import seen
from schemas.codes import Classifier, ModelOf
from schemas.envelope import Event
from schemas.errors import ModelError
from schemas.tables import Table
from schemas.work import WorkHandedOver
from tests.support.tracks import (
    Tracked,
    activated,
    answered,
    decided,
    moment,
    offered,
    step,
    tick,
    track,
)

SHA256 = "a" * 64
HOUR_US = 3_600_000_000


class Script:
    """A model that answers what it was told to, one row after another: the hour of the arrival."""

    def __init__(self, hours: Iterable[float]) -> None:
        self.hours = iter(hours)

    def score(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The hours that are left, as scales; p90 is six hours after p50."""
        answers = np.zeros((len(features), N_OUTPUTS))
        for answer, scale in zip(answers, np.expm1(features[:, Input.MEDIAN_LOG]), strict=True):
            left = next(self.hours)
            answer[:] = left / scale, (left + 6) / scale
        return answers.astype(np.float32)


def scripted(events: Sequence[Event], lefts: Iterable[float]) -> Tracked:
    """Track under a model that answers so, and that the history of the lane need not agree with."""
    script = Script(lefts)
    document = "version: alone\nestimates:\n  delay_chance: 0\n  delay_withdrawn_chance: 0\n"
    alone = parse_policy(document, "the test's policy")
    return track([activated(SHA256), *events], policy=alone, scorer_of=lambda _sha256: script)


def told(tracked: Tracked, order: str = "o1") -> list[tuple[float, float]]:
    """When an estimate of a parcel was told, and which, in hours."""
    rows = [row for row in tracked.rows(Table.ESTIMATES) if row["order_id"] == order]
    return [(_hour(row["at"]), _hour(row["p50_at"])) for row in rows if row["package"] is not None]


def _hour(at: datetime) -> float:
    return round((at - moment(0)).total_seconds() / 3600, 1)


def on_its_way(promise: float = 100, *, order: str = "o1", at: float = 0) -> list[Event]:
    """Two records, of which the second asks."""
    return [decided(at, order, promise=promise), step("handed_over", at, order)]


def predictions(tracked: Tracked, order: str = "o1") -> list[str]:
    """What became of DELAY_PREDICTED."""
    return [change for code, change in tracked.exceptions(order) if code == "DELAY_PREDICTED"]


def ticks(*hours: float) -> list[Event]:
    return [tick(hour) for hour in hours]


# Hysteresis ----------------------------------------------------------------------------------------


def test_an_estimate_that_jitters_is_told_once() -> None:
    arrivals = [48, 48, 50, 46.5, 51, 45, 49]
    asked = [0, 0, 4, 8, 12, 16, 20]

    tracked = scripted([*on_its_way(), *ticks(*asked[2:])], _left(arrivals, asked))

    assert told(tracked) == [(0.0, 48.0)]


def _left(arrivals: Sequence[float], asked: Sequence[float]) -> list[float]:
    return [arrival - now for arrival, now in zip(arrivals, asked, strict=True)]


def test_a_change_is_told_once_it_has_lasted_and_one_that_goes_back_is_not() -> None:
    arrivals = [48, 48, 68, 48, 68, 68, 68]
    asked = [0, 0, 4, 8, 12, 16, 20]

    tracked = scripted([*on_its_way(), *ticks(*asked[2:])], _left(arrivals, asked))

    assert told(tracked) == [(0.0, 48.0), (16.0, 68.0)]


def test_a_grave_change_is_told_at_once() -> None:
    events = [*on_its_way(300), tick(4), step("scanned", 4)]

    tracked = scripted(events, _left([48, 48, 120], [0, 0, 4]))

    assert told(tracked) == [(0.0, 48.0), (4.0, 120.0)]


def test_an_estimate_that_has_passed_is_replaced_at_once() -> None:
    tracked = scripted([*on_its_way(), *ticks(4, 13)], _left([10, 10, 11, 16], [0, 0, 4, 13]))

    assert told(tracked) == [(0.0, 10.0), (13.0, 16.0)]


def test_a_row_says_for_what_parcel_after_which_step_on_which_lane_and_by_which_model() -> None:
    events = [offered(0, "A", lane="A-north"), *on_its_way(50), tick(1)]

    rows = scripted([*events, step("scanned", 2, package="1", node="A")], [30] * 5).rows(
        Table.ESTIMATES
    )

    first, last = rows[0], rows[-1]
    assert (first["package"], first["lane"], first["step"]) == (None, "A-north", "ROUTED")
    assert (last["package"], last["step"]) == ("1", "HANDED_OVER")
    assert last["promise_at"] == moment(50)
    assert _hour(last["p90_at"]) - _hour(last["p50_at"]) == 6
    assert {row["model_sha256"] for row in rows} == {SHA256}
    assert not last["is_delay_predicted"]


# Predicted delays ----------------------------------------------------------------------------------


def test_a_delay_is_predicted_before_the_date_and_resolved_by_a_delivery_in_time() -> None:
    events = [*on_its_way(30), *ticks(4, 8), step("delivered", 20)]

    tracked = scripted(events, _left([25, 25, 31, 40], [0, 0, 4, 8]))

    assert tracked.exceptions() == [("DELAY_PREDICTED", "raised"), ("DELAY_PREDICTED", "resolved")]
    assert [row["is_delay_predicted"] for row in tracked.rows(Table.ESTIMATES)][1:] == [False, True]


def test_the_breach_takes_over_from_the_prediction() -> None:
    events = [*on_its_way(30), *ticks(4, 31), step("delivered", 40), tick(41)]

    tracked = scripted(events, _left([40, 40, 40, 40], [0, 0, 4, 31]))

    assert tracked.exceptions() == [
        ("DELAY_PREDICTED", "raised"),
        ("DELAY_BREACHED", "raised"),
        ("DELAY_PREDICTED", "resolved"),
        ("DELAY_BREACHED", "resolved"),
    ]
    positions = [row["position"] for row in tracked.rows(Table.EXCEPTIONS)]
    assert positions[1] == positions[2]


def test_a_prediction_holds_until_the_estimate_is_well_before_the_date() -> None:
    asked = [0, 0, 4, 8, 12, 16]
    arrivals = [33, 33, 31, 25, 29, 23]

    tracked = scripted([*on_its_way(30), *ticks(*asked[2:])], _left(arrivals, asked))

    assert predictions(tracked) == ["raised", "resolved"]
    assert _hour(tracked.rows(Table.EXCEPTIONS)[-1]["raised_at"]) == 16


def test_a_prediction_ends_with_the_order_and_comes_with_what_shows_it() -> None:
    events = [*on_its_way(30), decided(5, outcome="CANCELLED", cause=1), step("returning", 6)]

    tracked = scripted(events, [40] * 9)

    rows = [row for row in tracked.rows(Table.EXCEPTIONS) if row["code"] == "DELAY_PREDICTED"]
    assert [(row["change"], row["position"], row["evidence"]) for row in rows] == [
        ("raised", 1, 1),
        ("resolved", 3, None),
    ]


def test_an_order_is_late_while_any_of_its_parcels_is() -> None:
    events = [
        decided(0, promise=30),
        step("handed_over", 1, package="1"),
        step("handed_over", 2, package="2"),
        step("delivered", 5, package="2"),
        step("delivered", 6, package="1"),
    ]

    tracked = scripted(events, [20, 20, 20, 40, 20])

    changes = [row for row in tracked.rows(Table.EXCEPTIONS) if row["code"] == "DELAY_PREDICTED"]
    assert [(row["change"], row["package"]) for row in changes] == [
        ("raised", "2"),
        ("resolved", "2"),
    ]
    assert changes[1]["position"] == 4


def test_a_delay_is_not_predicted_before_the_lane_shows_that_parcels_so_slow_are_late() -> None:
    usual = [*deliveries(30, 10), *deliveries(10, 50, first=30)]
    order = [decided(300, promise=330), offered(300, "A", lane="A-north")]
    handed = answered(WorkHandedOver, 300, "A")

    tracked = track([*usual, *order, handed, *ticks(301, 308, 312, 320)])

    raised = [row for row in tracked.rows(Table.EXCEPTIONS) if row["code"] == "DELAY_PREDICTED"]
    assert [_hour(row["raised_at"]) for row in raised if row["order_id"] == "o1"] == [312]


def test_what_is_out_for_delivery_is_taken_to_be_at_hand() -> None:
    usual = [*deliveries(30, 10), *deliveries(10, 50, first=30)]
    order = [decided(300, promise=330), offered(300, "A", lane="A-north")]
    handed, out = answered(WorkHandedOver, 300, "A"), step("out_for_delivery", 310, node="A")

    tracked = track([*usual, *order, handed, *ticks(311), out, *ticks(312, 320)])

    assert predictions(tracked) == []


# What lanes teach ----------------------------------------------------------------------------------


def deliveries(
    count: int, hours: float, *, lane: str = "A-north", scans: int = 0, first: int = 0
) -> list[Event]:
    """So many orders on a lane, each delivered after so many hours."""
    events: list[Event] = []
    for n in range(first, first + count):
        order, at = f"before-{n}", n * 0.5
        events += [offered(at, "A", order, lane=lane), answered(WorkHandedOver, at, "A", order)]
        between = [at + hours * (k + 1) / (scans + 1) for k in range(scans)]
        events += [step("scanned", when, order, node="A") for when in between]
        events.append(step("delivered", at + hours, order, node="A"))
    return sorted(events, key=lambda event: event.time)


def estimate_after(taught: Sequence[Event], lane: str = "A-north") -> float:
    """Hours from hand-over that a new parcel on a lane is given."""
    events = [offered(300, "A", lane=lane), answered(WorkHandedOver, 300, "A"), tick(300)]
    return told(track([*taught, *events, step("scanned", 300.1, node="A")]))[-1][1] - 300


def test_without_a_model_the_history_of_the_lane_estimates() -> None:
    assert estimate_after(deliveries(30, 10)) == pytest.approx(10, rel=0.15)
    assert estimate_after(deliveries(30, 40)) == pytest.approx(40, rel=0.15)


def test_a_lane_without_a_history_is_estimated_by_that_of_its_network() -> None:
    assert estimate_after(deliveries(30, 10), lane="elsewhere") == pytest.approx(10, rel=0.2)


def test_a_delivery_that_is_corrected_teaches_once() -> None:
    corrected = [
        *deliveries(1, 10),
        step("delivered", 12, "before-0", node="A", retracts="delivered-ACT-1-before-0-10.0"),
        step("delivered", 13, "before-0", node="A", event_id="again"),
        step("signed", 14, "before-0", node="A"),
    ]

    book = track(corrected).state.lanes.tables

    assert seen(book.networks[0, LEGS]) == 1
    assert seen(book.counts[1, LEGS]) == 1


def test_a_carrier_is_silent_by_what_is_usual_on_the_lane() -> None:
    lost = [offered(300, "A", lane="A-north"), answered(WorkHandedOver, 300, "A")]
    often = deliveries(12, 24, scans=5)  # a gap of four hours
    seldom = deliveries(12, 200, scans=3)  # of fifty

    def silent_at(taught: Sequence[Event]) -> float:
        tracked = track([*taught, *lost, *ticks(*range(300, 480, 2))])
        rows = [row for row in tracked.rows(Table.EXCEPTIONS) if row["order_id"] == "o1"]
        return next(_hour(row["raised_at"]) for row in rows if row["code"] == "SILENCE")

    assert silent_at([]) == 372
    assert silent_at(often) == 324
    assert 430 <= silent_at(seldom) <= 470


def test_a_full_book_of_lanes_forgets_those_that_learnt_least_lately() -> None:
    tracked = track(deliveries(3, 10) + deliveries(3, 10, lane="B-north", first=3))
    book, used = tracked.state.lanes, int(tracked.state.cursor[-1])
    assert used == 3

    rows = np.repeat(book.tables.rows[1:3], MAX_LANES // 2)[: MAX_LANES - 1]
    rows["carrier"], rows["taught"] = np.arange(len(rows)), np.arange(len(rows))[::-1]
    book._put(np.concatenate([book.tables.rows[:1], rows]), np.zeros((MAX_LANES, 2, 97), np.uint32))

    left = book.forget(MAX_LANES)

    assert left == MAX_LANES // 2
    assert book.tables.rows["taught"][1:].min() == MAX_LANES // 2


# Models --------------------------------------------------------------------------------------------


def test_a_model_that_cannot_be_had_stops_the_partition() -> None:
    with pytest.raises(ModelError, match="no models are at hand"):
        track([activated(SHA256), *on_its_way()])


def test_a_model_of_the_router_is_refused() -> None:
    tracked = track([activated(SHA256, of=ModelOf.ROUTE), *on_its_way()])

    assert [row["reason"] for row in tracked.rows(Table.DEAD_LETTERS)] == ["WRONG_LOG"]
    assert {row["model_sha256"] for row in tracked.rows(Table.ESTIMATES)} == {""}


class Moody:
    """A model that fails on parcels that were handed over."""

    def score(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The lane's own, but for those."""
        if (features[:, Input.IS_MOVING] > 0).any():
            raise ModelError("no")
        return features[:, [Input.REMAINING_P90, Input.REMAINING_P90]]


def test_a_parcel_that_the_model_fails_on_is_estimated_by_its_lane() -> None:
    orders = [decided(0, f"o{n}", promise=90) for n in range(4)]
    events = [activated(SHA256), *orders, step("handed_over", 1, "o2")]

    tracked = track(events, scorer_of=lambda _sha256: Moody())

    by_lane = track(events[1:])
    found, expected = (one.rows(Table.ESTIMATES) for one in (tracked, by_lane))
    assert found[-1]["p50_at"] == expected[-1]["p50_at"]
    assert found[0]["p50_at"] != expected[0]["p50_at"]


def test_nothing_is_estimated_that_has_no_date_and_no_carrier_or_has_arrived() -> None:
    events = [
        decided(0, outcome="HELD_FOR_REVIEW"),
        step("delivered", 3),
        step("scanned", 4),
        step("handed_over", 1, "o2", planned=5, classifier=Classifier.PLANNED),
        *ticks(5, 20),
    ]

    assert track(events).rows(Table.ESTIMATES) == []
