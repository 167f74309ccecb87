"""The simulated world of journeys, and how they are told again: seeded, causal, and never after the fact."""

from dataclasses import replace

import numpy as np
import pytest

from models.intake.columns import NO_TIME
from models.simulation.journeys import Journeys, Moments, draw_network
from models.tracking.features import Group, Input
from models.tracking.lanes import HOUR_US
from models.training.arrival.replay import concatenate, replay

NETWORKS = 25


@pytest.fixture(scope="module")
def networks() -> list[tuple[Journeys, Moments]]:
    return [draw_network(np.random.default_rng(seed)) for seed in range(NETWORKS)]


def test_the_same_seed_draws_the_same_network() -> None:
    first, second = (draw_network(np.random.default_rng(3)) for _ in range(2))

    for one, other in zip(first, second, strict=True):
        for name, column in vars(one).items():
            assert np.array_equal(column, vars(other)[name], equal_nan=True), name


def test_every_moment_is_before_the_delivery_and_after_its_news(
    networks: list[tuple[Journeys, Moments]],
) -> None:
    for journeys, moments in networks:
        assert (journeys.delivered > journeys.handed_over).all()
        assert (np.diff(moments.clock) >= 0).all()
        assert (moments.clock < journeys.delivered[moments.journey]).all()
        assert (moments.heard <= moments.clock).all()
        assert (moments.located <= moments.clock).all()


def test_a_position_is_known_only_on_the_way(networks: list[tuple[Journeys, Moments]]) -> None:
    for journeys, moments in networks:
        is_known = ~np.isnan(moments.progress)

        assert np.array_equal(is_known, moments.located != NO_TIME)
        assert (moments.located >= journeys.handed_over[moments.journey])[is_known].all()
        assert ((moments.progress >= 0) & (moments.progress <= 1))[is_known].all()


def test_before_means_before_the_hand_over(networks: list[tuple[Journeys, Moments]]) -> None:
    for journeys, moments in networks:
        is_before = moments.clock < journeys.handed_over[moments.journey]

        assert np.array_equal(moments.group == Group.BEFORE, is_before)


def test_every_phase_and_every_signal_is_drawn(networks: list[tuple[Journeys, Moments]]) -> None:
    rows = concatenate([replay(*network) for network in networks])

    for signal in (*range(Input.IS_BEFORE, Input.IS_DOOR + 1), Input.HAS_POSITION, Input.HAS_LATE):
        assert 0 < rows.features[:, signal].mean() < 1, Input(signal).name
    assert np.isfinite(rows.features).all()
    assert (rows.remaining > 0).all()


def test_rows_know_nothing_of_what_comes_later(networks: list[tuple[Journeys, Moments]]) -> None:
    journeys, moments = networks[0]
    half = len(moments.clock) // 2
    now = moments.clock[half - 1]
    is_later = journeys.delivered > now

    otherwise = replace(
        journeys, delivered=np.where(is_later, now + 1000 * HOUR_US, journeys.delivered)
    )

    known, changed = replay(journeys, moments), replay(otherwise, moments)
    assert np.array_equal(known.features[:half], changed.features[:half])
    assert not np.array_equal(known.features[half:], changed.features[half:])


def test_the_lanes_median_less_what_has_elapsed_is_never_below_zero(
    networks: list[tuple[Journeys, Moments]],
) -> None:
    rows = replay(*networks[1])

    assert (rows.lane_p50 >= 0).all()
    assert (rows.lane_p90 >= rows.lane_p50).all()
