"""Training: the same bytes twice, the same numbers in ONNX as in NumPy, and sound metrics."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.inference import SHIPPED_MODEL, default_model_path, load_model, shipped_model_sha256
from models.routing.features import Feature
from models.simulation import delivery_statistics as known
from models.simulation.deliveries import draw_deliveries
from models.training import statistics
from models.training.card import NO_OLIST, OLIST_END, OLIST_START, carried_olist
from models.training.evaluate import (
    fit_distance_rival,
    olist_features,
    score_intervals,
    score_probabilities,
)
from models.training.export import RAW_MAX, RAW_MIN, to_onnx
from models.training.layers import pinball, raw_outputs
from models.training.network import Targets, _loss, fit, quantities, targets_of
from models.training.olist import halves, has_olist, read_olist

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
needs_olist = pytest.mark.skipif(not has_olist(DATA), reason="../shared/data/olist is not at hand")


def _train(out: Path, threads: str, *arguments: str) -> bytes:
    command = [sys.executable, "-m", "models.training.train", "--out", str(out)]
    command += ["--rows", "5000", "--steps", "40", *arguments]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    return (out / f"{SHIPPED_MODEL}.onnx").read_bytes()


def test_training_twice_gives_the_same_bytes_whatever_threads_and_data(tmp_path: Path) -> None:
    first = _train(tmp_path / "first", "2")
    second = _train(tmp_path / "second", "1", "--data", str(tmp_path / "no data here"))

    assert first == second
    card = (tmp_path / "second" / f"{SHIPPED_MODEL}.md").read_text(encoding="utf-8")
    assert hashlib.sha256(first).hexdigest() in card
    assert NO_OLIST in card


def test_the_entry_point_keeps_the_olist_section_of_the_card_before(tmp_path: Path) -> None:
    card = tmp_path / f"{SHIPPED_MODEL}.md"
    card.write_text(f"old\n{OLIST_START}\nmeasured on model abc\n{OLIST_END}\n", encoding="utf-8")

    _train(tmp_path, "1", "--data", str(tmp_path))

    written = card.read_text(encoding="utf-8")
    assert f"{OLIST_START}\nmeasured on model abc\n{OLIST_END}" in written
    assert not written.startswith("old")


def test_a_card_without_both_marks_has_no_olist_section() -> None:
    assert carried_olist("") == NO_OLIST
    assert carried_olist(f"{OLIST_START} torn") == NO_OLIST


def test_onnx_gives_what_the_trainer_gives(tmp_path: Path) -> None:
    world = draw_deliveries(4000, np.random.default_rng(1))
    *_, (network, _) = fit(world.features, targets_of(world), 30, np.random.default_rng(2))
    content = to_onnx(network, "small", world.features.min(axis=0), world.features.max(axis=0))
    (tmp_path / "small.onnx").write_bytes(content)
    model = load_model(tmp_path, hashlib.sha256(content).hexdigest())

    raw = raw_outputs(network, world.features)
    expected = quantities(np.clip(raw, RAW_MIN, RAW_MAX).astype(np.float32))

    assert np.allclose(model.score(world.features), expected, rtol=1e-5, atol=1e-6)
    assert np.array_equal(model.low, world.features.min(axis=0))
    assert np.array_equal(model.high, world.features.max(axis=0))


def test_training_lowers_the_loss() -> None:
    world = draw_deliveries(20_000, np.random.default_rng(1))

    losses = [loss for _, loss in fit(world.features, targets_of(world), 300, _seeded())]

    assert np.mean(losses[-20:]) < 0.8 * np.mean(losses[:20])


def test_slopes_of_the_loss_are_those_of_its_values() -> None:
    # A private function, yet the one place where a wrong sign would only make a model a bit worse.
    generator = _seeded()
    raw = generator.normal(0, 1, (6, 4)).astype(np.float32)
    columns = generator.normal(0, 1, (2, 6)).astype(np.float32)
    targets = Targets(columns[0], columns[1], np.array([0, 1, 0, 1, 1, 0], np.float32))
    step = 1e-2

    _, slope = _loss(raw, targets)

    for place in np.ndindex(raw.shape):
        above, below = raw.copy(), raw.copy()
        above[place] += step
        below[place] -= step
        change = (_loss(above, targets)[0] - _loss(below, targets)[0]) / (2 * step)
        assert slope[place] == pytest.approx(change, abs=2e-3), place


def test_the_shipped_model_was_trained_on_the_ranges_of_its_world() -> None:
    model = load_model(default_model_path(), shipped_model_sha256())
    world = draw_deliveries(2000, np.random.default_rng(8)).features

    outside = (world < model.low) | (world > model.high)

    assert outside.mean() < 0.001


def test_the_shipped_model_is_calibrated_on_its_own_world() -> None:
    model = load_model(default_model_path(), shipped_model_sha256())
    world = draw_deliveries(40_000, np.random.default_rng(9))
    forecast = model.score(world.features).astype(np.float64)

    intervals = score_intervals(world.transit_hours, forecast[:, 0], forecast[:, 1])
    late = score_probabilities(world.is_late, forecast[:, 2])

    assert intervals.below_p50 == pytest.approx(0.5, abs=0.02)
    assert intervals.below_p90 == pytest.approx(0.9, abs=0.02)
    assert late.brier < 0.5 * late.brier_constant
    assert late.expected_error < 0.01


def test_pinball_loss_weighs_both_sides_as_the_quantile_says() -> None:
    assert pinball(np.array([10.0]), 0.9) == pytest.approx(9.0)
    assert pinball(np.array([-10.0]), 0.9) == pytest.approx(1.0)


def test_intervals_are_scored_by_hand() -> None:
    score = score_intervals(
        np.array([1.0, 2.0, 3.0, 10.0]), np.full(4, 2.0), np.array([4.0, 4.0, 4.0, 4.0])
    )

    assert score.pinball_p50 == pytest.approx((1 + 0 + 1 + 8) / 2 / 4)
    assert score.below_p50 == 0.5
    assert score.below_p90 == 0.75


def test_calibration_is_scored_by_hand() -> None:
    forecast = np.repeat([0.0, 0.5], 10)
    is_late = np.array([False] * 10 + [True] * 10)

    late = score_probabilities(is_late, forecast)

    assert late.brier == pytest.approx(0.125)
    assert late.brier_constant == pytest.approx(0.25)
    assert late.expected_error == pytest.approx(0.25)
    assert sum(group.rows for group in late.groups) == 20


def test_the_distance_rival_finds_the_line_that_made_the_data() -> None:
    generator = _seeded()
    distance = generator.uniform(0, 1000, 20_000)
    hours = 20 + 0.1 * distance + generator.exponential(10, 20_000)

    (a, b), (c, d) = fit_distance_rival(distance, hours).lines

    assert (a, b) == pytest.approx((20 + 10 * np.log(2), 0.1), rel=0.03)
    assert (c, d) == pytest.approx((20 + 10 * np.log(10), 0.1), rel=0.03)


@needs_olist
def test_olist_deliveries_lie_within_the_trained_ranges() -> None:
    model = load_model(default_model_path(), shipped_model_sha256())
    features = olist_features(read_olist(DATA))

    outside = (features < model.low) | (features > model.high)

    assert outside.sum() == 0


@needs_olist
def test_the_halves_of_olist_are_apart_in_time_and_whole() -> None:
    deliveries = read_olist(DATA)

    earlier, later = halves(deliveries)

    assert len(earlier) + len(later) == len(deliveries) > 20_000
    assert pl.concat([earlier, later]).equals(deliveries)


@needs_olist
def test_constants_of_the_world_are_the_aggregates_of_the_earlier_half() -> None:
    earlier, _ = halves(read_olist(DATA))
    knots = statistics.olist_by_distance(earlier)
    figures = dict(statistics.olist_figures(earlier))

    # The first and the last knot of each table are ours: 0 km and 8,000 km.
    assert knots["distance_km"].round().to_list() == list(known.PARCEL_DISTANCE_KM[1:-1])
    assert knots["transit_hours"].round().to_list() == list(known.PARCEL_TRANSIT_HOURS[1:-1])
    assert knots["log_spread"].to_list() == pytest.approx(known.PARCEL_LOG_SPREAD[1:-1], abs=0.006)
    expected = {
        "handling median on weekdays, hours": known.HANDLING_HOURS,
        "handling, weekend / weekday": known.WEEKEND_HANDLING,
        "transit, weekend / weekday": known.WEEKEND_TRANSIT,
        "handling log spread": known.HANDLING_LOG_SPREAD,
        "handling, Black Friday week / usual": known.PEAK_HANDLING,
        "transit, Black Friday week / usual": known.PEAK_TRANSIT,
        "weight median, kg": known.PARCEL_WEIGHT_KG[0],
        "promise log margin: spread": known.PROMISE_LOG_SPREAD,
    }
    assert {name: figures[name] for name in expected} == pytest.approx(expected, rel=0.01)


@needs_olist
def test_the_card_says_how_the_committed_model_does_on_olist() -> None:
    card = default_model_path().with_suffix(".md").read_text(encoding="utf-8")

    assert shipped_model_sha256() in carried_olist(card)


@needs_olist
def test_slack_of_olist_is_cut_as_the_contract_says() -> None:
    slack = olist_features(read_olist(DATA))[:, Feature.SLACK]

    assert slack.max() == 1.0
    assert slack.min() > 0


def _seeded() -> np.random.Generator:
    return np.random.default_rng(4)
