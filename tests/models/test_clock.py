"""The clock of a partition: the least of the processes in service, never going back."""

import numpy as np

from models.intake.clock import Clock
from models.intake.columns import NO_TIME
from schemas.control import ClockTicked
from tests.support.builders import HOUR, instant, journal, node, tick


def hours(*ticks: ClockTicked) -> float:
    """The clock after these ticks, in hours after the start."""
    clock = Clock()
    clock.hear(journal(*ticks))
    return (clock.time / 1e6 - instant(0).timestamp()) / HOUR


def test_there_is_no_time_before_the_first_tick() -> None:
    clock = Clock()

    passed = clock.hear(journal(node("A"), tick(HOUR), node("B")))

    assert passed.at(np.arange(3)).tolist() == [NO_TIME, clock.time, clock.time]


def test_the_slowest_process_sets_the_clock() -> None:
    assert hours(tick(2 * HOUR, "a"), tick(5 * HOUR, "b"), tick(3 * HOUR, "a")) == 3


def test_a_new_process_does_not_set_the_clock_back() -> None:
    assert hours(tick(5 * HOUR, "a"), tick(2 * HOUR, "b")) == 5


def test_a_retired_process_holds_nobody_up() -> None:
    assert hours(tick(2 * HOUR, "a"), tick(5 * HOUR, "b"), tick(2 * HOUR, "a", retired=True)) == 5


def test_a_retired_process_may_come_back() -> None:
    left, back = tick(3 * HOUR, "a", retired=True), tick(4 * HOUR, "a")

    assert hours(tick(2 * HOUR, "a"), left, back, tick(9 * HOUR, "b")) == 4


def test_a_repeated_tick_does_not_bring_a_process_back() -> None:
    again, left = tick(2 * HOUR, "a"), tick(3 * HOUR, "a", retired=True)

    assert hours(again, left, again, tick(9 * HOUR, "b")) == 9


def test_a_repeated_farewell_does_not_retire_a_process_that_came_back() -> None:
    left = tick(3 * HOUR, "a", retired=True)

    assert hours(left, tick(4 * HOUR, "a"), left, tick(9 * HOUR, "b")) == 4
