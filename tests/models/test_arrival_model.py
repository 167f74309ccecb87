"""The arrival model: the same bytes twice, the same numbers in any batch, better than others on real data."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from models.inference import (
    SHIPPED_ARRIVAL_MODEL,
    Model,
    default_model_path,
    load_model,
    shipped_model_sha256,
)
from models.tracking.features import N_INPUTS, N_OUTPUTS, Group, Input, Output
from models.training.arrival.card import NOTHING_REAL, REAL_END, REAL_START, carried_real
from models.training.arrival.deliveries import read_cases
from models.training.arrival.evaluate import CaseScores, score_case, simulated_cases
from models.training.arrival.export import to_onnx
from models.training.arrival.network import bases, fit, loss_and_slope, quantiles
from models.training.arrival.replay import Rows
from models.training.arrival.train import draw_rows, train
from models.training.layers import raw_outputs
from models.training.process import DATA
from schemas.codes import ModelOf
from schemas.errors import ModelError

ROOT = Path(__file__).parents[2]
Features = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(None, shipped_model_sha256(ModelOf.ARRIVAL), ModelOf.ARRIVAL)


@pytest.fixture(scope="module")
def rows() -> Rows:
    return draw_rows("test", 60)


@pytest.fixture(scope="module")
def real(model: Model) -> dict[str, CaseScores]:
    return {case.name: score_case(case, model.score) for case in read_cases(DATA)}


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 31, 64, 65, 257])
def test_estimates_do_not_depend_on_the_size_of_a_batch(
    model: Model, rows: Rows, size: int
) -> None:
    features = rows.features[:5120]
    whole = model.score(features)

    for start in range(0, min(40 * size, len(features) - size), size):
        part = model.score(features[start : start + size])
        assert part.tobytes() == whole[start : start + size].tobytes(), (start, size)


def test_estimates_do_not_depend_on_the_neighbours(model: Model, rows: Rows) -> None:
    forwards = model.score(rows.features)

    backwards = model.score(rows.features[::-1].copy())

    assert backwards[::-1].tobytes() == forwards.tobytes()
    assert model.score(rows.features[:0]).shape == (0, N_OUTPUTS)


def test_quantiles_are_in_order_and_never_past_even_for_wild_inputs(model: Model) -> None:
    wild = np.random.default_rng(5).normal(0, 1000, (2000, N_INPUTS)).astype(np.float32)
    wild[:, Input.REMAINING_P50] = np.abs(wild[:, Input.REMAINING_P50])
    wild[:, Input.REMAINING_P90] = wild[:, Input.REMAINING_P50] * 2

    told = model.score(wild)

    assert (told[:, Output.P50] >= 0).all()
    assert (told[:, Output.P90] >= told[:, Output.P50]).all()


def test_an_input_beyond_what_was_trained_counts_as_the_nearest_that_was(
    model: Model, rows: Rows
) -> None:
    beyond = rows.features[:200].copy()
    beyond[:, Input.MEDIAN_LOG] = 50
    nearest = beyond.copy()
    nearest[:, Input.MEDIAN_LOG] = model.high[Input.MEDIAN_LOG]

    assert model.score(beyond).tobytes() == model.score(nearest).tobytes()


def test_a_routing_model_is_no_arrival_model() -> None:
    with pytest.raises(ModelError, match="activate a model trained for it"):
        load_model(None, shipped_model_sha256(), ModelOf.ARRIVAL)


def test_training_twice_gives_the_same_bytes() -> None:
    assert train(4, 10) == train(4, 10)


def test_training_lowers_the_loss_and_onnx_gives_what_the_trainer_gives(
    tmp_path: Path, rows: Rows
) -> None:
    features, scales = rows.features[:20_000], (rows.remaining / rows.scale).astype(np.float32)
    trained = list(fit(features, scales[:20_000], 80, np.random.default_rng(2)))
    network, losses = trained[-1][0], [loss for _, loss in trained]
    low, high = features.min(axis=0), features.max(axis=0)
    content = to_onnx(network, "small", low, high)
    (tmp_path / "small.onnx").write_bytes(content)
    small = load_model(tmp_path, hashlib.sha256(content).hexdigest(), ModelOf.ARRIVAL)

    expected = quantiles(raw_outputs(network, features), features)

    assert np.mean(losses[-10:]) < 0.95 * np.mean(losses[:10])
    assert np.allclose(small.score(features), expected, rtol=1e-5, atol=1e-6)
    assert np.array_equal(small.low, low)
    assert np.array_equal(small.high, high)


def test_slopes_of_the_loss_are_those_of_its_values() -> None:
    generator = np.random.default_rng(4)
    raw = generator.normal(0, 1, (6, N_OUTPUTS)).astype(np.float32)
    base = np.abs(generator.normal(1, 0.3, (6, N_OUTPUTS))).astype(np.float32)
    wanted = generator.normal(0, 1, 6).astype(np.float32)
    step = 1e-2

    _, slope = loss_and_slope(raw, base, wanted)

    for place in np.ndindex(raw.shape):
        above, below = raw.copy(), raw.copy()
        above[place] += step
        below[place] -= step
        values = (loss_and_slope(part, base, wanted)[0] for part in (above, below))
        assert slope[place] == pytest.approx((next(values) - next(values)) / (2 * step), abs=2e-3)


def test_what_is_corrected_is_the_history(rows: Rows) -> None:
    nothing = np.zeros((len(rows.features), N_OUTPUTS), np.float32)

    told = quantiles(nothing, rows.features)

    assert np.allclose(told, rows.features[:, [Input.REMAINING_P50, Input.REMAINING_P90]])
    assert (bases(rows.features) >= 0).all()


@pytest.mark.parametrize("group", [Group.MOVING, Group.OUT])
def test_the_shipped_model_is_better_than_history_in_its_own_world(
    model: Model, rows: Rows, group: Group
) -> None:
    scores = score_case(simulated_cases(rows)[group], model.score)

    assert scores.model.pinball_p50 < 0.95 * scores.history.pinball_p50, scores
    assert scores.model.pinball_p90 < 0.95 * scores.history.pinball_p90, scores
    assert 0.85 < scores.model.below_p90 < 0.97, scores


def test_the_card_names_the_sha256_of_the_committed_file() -> None:
    card = default_model_path(ModelOf.ARRIVAL).with_suffix(".md").read_text(encoding="utf-8")

    assert f"| sha256 | `{shipped_model_sha256(ModelOf.ARRIVAL)}` |" in card
    assert NOTHING_REAL not in card


def test_the_entry_point_keeps_the_real_section_of_the_card_before(tmp_path: Path) -> None:
    card = tmp_path / f"{SHIPPED_ARRIVAL_MODEL}.md"
    card.write_text(f"old\n{REAL_START}\nmeasured on abc\n{REAL_END}\n", encoding="utf-8")
    command = [sys.executable, "-m", "models.training.arrival.train", "--networks", "3"]
    command += ["--steps", "10", "--out", str(tmp_path), "--data", str(tmp_path)]

    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

    written = card.read_text(encoding="utf-8")
    sha256 = hashlib.sha256(card.with_suffix(".onnx").read_bytes()).hexdigest()
    assert f"{REAL_START}\nmeasured on abc\n{REAL_END}" in written
    assert f"| sha256 | `{sha256}` |" in written
    assert carried_real("") == carried_real(f"{REAL_START} torn") == NOTHING_REAL


OLIST_LATER = ("after 25%", "after 50%", "after 75%")


def _is_absent(name: str) -> bool:
    return not (DATA / name).is_dir()


@pytest.mark.skipif(_is_absent("olist"), reason="../shared/data/olist is not at hand")
def test_on_olist_it_beats_promise_lane_and_history_at_hand_over(
    real: dict[str, CaseScores],
) -> None:
    scores = real["Olist, at hand-over"]

    assert scores.rows == 10_480
    _assert_better(scores, ("promise", "lane", "history"))
    assert 0.82 < scores.model.below_p90 < 0.95


@pytest.mark.skipif(_is_absent("olist"), reason="../shared/data/olist is not at hand")
@pytest.mark.parametrize("moment", OLIST_LATER)
def test_on_olist_it_beats_promise_lane_and_history_later_in_the_leg(
    real: dict[str, CaseScores], moment: str
) -> None:
    scores = real[f"Olist, {moment} of the lane's median"]

    _assert_better(scores, ("promise", "lane", "history"))
    assert 0.82 < scores.model.below_p90 < 0.95


@pytest.mark.skipif(_is_absent("truck_trips_india"), reason="../shared/data/... is not at hand")
@pytest.mark.parametrize("moment", ["at the start", "at the last position"])
def test_on_trucks_it_beats_the_lane(real: dict[str, CaseScores], moment: str) -> None:
    scores = real[f"Trucks, {moment}"]

    _assert_better(scores, ("lane", "history"))
    assert 0.8 < scores.model.below_p90 < 0.98


@pytest.mark.skipif(_is_absent("truck_trips_india"), reason="../shared/data/... is not at hand")
def test_on_trucks_it_knows_better_than_the_plan_how_late_one_may_be(
    real: dict[str, CaseScores],
) -> None:
    scores = real["Trucks, at the start"]

    assert scores.promise is not None
    assert scores.model.pinball_p90 < scores.promise.pinball_p90


@pytest.mark.skipif(_is_absent("lade_pickup_sample"), reason="../shared/data/... is not at hand")
@pytest.mark.parametrize("moment", ["at acceptance", "after 50% of the lane's median"])
def test_on_pickups_it_beats_the_lane(real: dict[str, CaseScores], moment: str) -> None:
    scores = real[f"Pick-ups, {moment}"]

    _assert_better(scores, ("lane",))
    assert 0.7 < scores.model.below_p90 < 0.95


def _assert_better(scores: CaseScores, others: tuple[str, ...]) -> None:
    for name in others:
        other = getattr(scores, name)
        assert scores.model.pinball_p50 < other.pinball_p50, (name, scores)
        assert scores.model.pinball_p90 < other.pinball_p90, (name, scores)
