"""Simulated nodes: what they do with work, shelves that were miscounted, and people at a desk."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from models.routing.scoring import RULES
from models.simulation.crew import Desk, Habits
from models.simulation.records import repeated
from models.simulation.scene import Product, Scene, Setting, Way, in_order
from models.simulation.world import unfold
from schemas.envelope import Event
from schemas.inventory import InventoryCounted
from schemas.orders import Order
from schemas.reviews import ReviewDecided
from schemas.work import WorkHandedOver, WorkRejected, WorkShortPicked

START = datetime(2026, 1, 5, tzinfo=UTC)
CUP = Product("cup")


def unfolded(
    habits: Habits,
    *,
    policy: str = "version: p\n",
    error: float = 0.0,
    desk: Desk | None = None,
    cancels_after: float = 0.0,
    step_minutes: float = 10.0,
) -> list[Event]:
    """Two nodes of the same habits, and forty orders of one cup for eighty cups."""
    scene = Scene(Setting(1, 40, policy, stock_error=error), "acme", "eu", START)
    for name, x in (("A", 0.0), ("B", 50.0)):
        scene.add_node(name, (x, 0.0))
        scene.add_stock(name, {"cup": 40})
    scene.add_lanes(["A", "B"], {"R": (10.0, 0.0)}, [Way("parcel")])
    script: list[Event] = []
    for i in range(40):
        order = Order(region="R", lines=[CUP.line(1, 1)])
        script.append(scene.order(f"o-{i}", scene.at(hours=1 + i / 10), order))
        if cancels_after:
            script.append(scene.cancellation(f"o-{i}", scene.at(hours=1 + i / 10 + cancels_after)))
    nodes = dict.fromkeys(("A", "B"), habits)
    world = scene.world(in_order(script), nodes, days=4, desk=desk, step_minutes=step_minutes)
    return list(unfold(world, lambda _sha256: RULES))


def kinds(events: list[Event]) -> Counter[str]:
    return Counter(type(event).__name__ for event in events)


def test_work_that_nobody_disturbs_is_handed_over() -> None:
    said = kinds(unfolded(Habits()))

    assert said["WorkAccepted"] == said["WorkPicked"] == said["WorkHandedOver"] == 40
    assert said["WorkRejected"] == said["WorkShortPicked"] == 0


def test_a_node_that_refuses_is_not_asked_again() -> None:
    events = unfolded(Habits(rejects=1.0))

    refused = [(e.subject, e.data.node) for e in events if isinstance(e, WorkRejected)]
    assert len(refused) == len(set(refused)) == 80


def test_silence_is_left_to_the_clock() -> None:
    events = unfolded(Habits(silent=1.0), policy="version: p\nwindows: {accept_within_hours: 1}\n")

    assert not any("Work" in type(event).__name__ for event in events)


def test_people_decide_what_was_refused_too_often() -> None:
    strict = "version: p\nlimits: {max_attempts: 1}\n"

    events = unfolded(Habits(rejects=1.0), policy=strict, desk=Desk(cancels=1.0))

    verdicts = [e.data.verdict.value for e in events if isinstance(e, ReviewDecided)]
    assert verdicts == ["cancel"] * 40


def test_a_shelf_that_was_miscounted_is_found_out_by_picking() -> None:
    habits = Habits(loses=0.2)

    events = unfolded(habits)

    lost = sum(isinstance(event, WorkShortPicked) for event in events)
    left = sum(isinstance(event, WorkHandedOver) for event in events)
    assert lost > 0
    assert left == 40


def test_a_count_says_what_is_on_the_shelf() -> None:
    events = unfolded(Habits(counts_every=80, counts_share=1.0), error=1.0)

    first: dict[str, int] = {}
    last: dict[str, int] = {}
    left = Counter(e.data.node for e in events if isinstance(e, WorkHandedOver))
    for event in events:
        if isinstance(event, InventoryCounted):
            first.setdefault(event.subject, event.data.items[0].on_hand)
            last[event.subject] = event.data.items[0].on_hand
    assert first == {"A": 40, "B": 40}
    assert all(last[node] != 40 - left[node] for node in last)


def test_what_was_withdrawn_is_not_spoken_of() -> None:
    events = unfolded(Habits(answer=(2, 2)), cancels_after=1.0)

    assert kinds(events)["WorkAccepted"] == 0


def test_answers_come_after_what_they_answer_and_the_log_is_in_order() -> None:
    events = unfolded(Habits(answer=(0, 0)), step_minutes=30)

    times = [event.recordedtime or event.time for event in events]
    assert times == sorted(times)


def test_a_record_said_again_keeps_its_id_unless_told_otherwise() -> None:
    scene = Scene(Setting(1, 1, "version: p\n"), "acme", "eu", START)
    order = scene.order("o-1", START, Order(region="R", lines=[CUP.line(1, 1)]))
    later = START + timedelta(seconds=1)

    assert repeated(order, later).id == "o-1"
    assert repeated(order, later, "x").id == "x"
    assert repeated(order, later).time == START


def test_the_generators_of_two_purposes_have_nothing_in_common() -> None:
    scene = Scene(Setting(1, 1, "version: p\n"), "acme", "eu", START)

    draws = [float(scene.generator(name).random()) for name in ("a", "b", "a")]

    assert draws[0] == pytest.approx(draws[2], abs=0)
    assert draws[0] != draws[1]
