"""Trains the shipped model: ``python -m models.training.train`` writes the file and its card.

The bytes of the file follow from the seed, the code, the versions of NumPy and onnx and the CPU
class; never from the folder of real data, which only the card's Olist section reads. BLAS is held
to one thread, because how it splits a product among threads may change the last bit.
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from models.inference import ARTIFACTS, SHIPPED_MODEL, Model, load_model
from models.routing.features import Feature, Quantity
from models.simulation.deliveries import Deliveries, Floats, Mode, draw_deliveries
from models.training.card import Run, Scores, carried_olist, render_card, render_olist
from models.training.evaluate import (
    DistanceRival,
    IntervalScore,
    fit_distance_rival,
    olist_features,
    score_intervals,
    score_probabilities,
)
from models.training.export import to_onnx
from models.training.layers import BATCH_ROWS
from models.training.network import WIDTHS, fit, targets_of
from models.training.olist import halves, has_olist, read_olist
from models.training.process import DATA, hold_to_one_thread

SEED = 20_180_502  # arbitrary
ROWS = 500_000
STEPS = 10_000  # twice as many gain 0.3 % of loss
HOLD_OUT_ROWS = 200_000
RIVAL_ROWS = 20_000  # per mode; two coefficients need no more
RANGE_MARGIN = 1e-5  # so that another rounding of the same input is not out of range


@dataclass(frozen=True)
class Plan:
    """What to train, where to, and what to judge it on."""

    out: Path
    data: Path
    rows: int = ROWS
    steps: int = STEPS


def train(rows: int, steps: int) -> bytes:
    """The bytes of a model file: the same for the same arguments (see the module)."""
    world = draw_deliveries(rows, _generator("world"))
    for network, _ in fit(world.features, targets_of(world), steps, _generator("network")):
        trained = network
    low = world.features.min(axis=0) - np.float32(RANGE_MARGIN)
    high = world.features.max(axis=0) + np.float32(RANGE_MARGIN)
    return to_onnx(trained, SHIPPED_MODEL, low, high)


def write_model(plan: Plan) -> str:
    """Train, write the file, judge it, write its card; returns the sha256 of the file."""
    content = train(plan.rows, plan.steps)
    sha256 = hashlib.sha256(content).hexdigest()
    plan.out.mkdir(parents=True, exist_ok=True)
    file, card = (plan.out / f"{SHIPPED_MODEL}{suffix}" for suffix in (".onnx", ".md"))
    file.write_bytes(content)
    model = load_model(file, sha256)
    rivals = _fit_rivals()
    if has_olist(plan.data):
        olist = _judge_on_olist(model, rivals[Mode.ROAD], plan.data)
    else:
        olist = carried_olist(card.read_text(encoding="utf-8") if card.is_file() else "")
    parameters = sum(a * b + b for a, b in pairwise(WIDTHS))
    run = Run(SEED, plan.rows, plan.steps, BATCH_ROWS, parameters, len(content))
    text = render_card(model, run, _judge_on_hold_out(model, rivals), olist)
    card.write_text(text, encoding="utf-8")
    return sha256


def _generator(purpose: str) -> np.random.Generator:
    """A stream of its own for each purpose, so that more of one does not shift another."""
    return np.random.default_rng([SEED, *purpose.encode()])


def _fit_rivals() -> dict[Mode, DistanceRival]:
    """A distance-only rival for each mode, fitted to the same world that the model learns from."""
    world = draw_deliveries(ROWS, _generator("world"))
    rivals = {}
    for mode in Mode:
        rows = np.flatnonzero(world.mode == mode)[:RIVAL_ROWS]
        distance = np.expm1(world.features[rows, Feature.DISTANCE_LOG].astype(np.float64))
        rivals[mode] = fit_distance_rival(distance, world.transit_hours[rows])
    return rivals


def _judge_on_hold_out(model: Model, rivals: dict[Mode, DistanceRival]) -> Scores:
    world = draw_deliveries(HOLD_OUT_ROWS, _generator("hold-out"))
    forecast = model.score(world.features).astype(np.float64)
    rows: list[tuple[str, IntervalScore]] = []
    for mode in Mode:
        rows += _judge_mode(mode, world, forecast, rivals[mode])
    overall = score_intervals(world.transit_hours, *_transit(forecast))
    return Scores(
        (("model, all modes", overall), *rows),
        score_probabilities(world.is_late, forecast[:, Quantity.LATE_PROBABILITY]),
        float(np.mean(world.handling_hours <= forecast[:, Quantity.HANDLING_HOURS])),
    )


def _judge_mode(
    mode: Mode, world: Deliveries, forecast: Floats, rival: DistanceRival
) -> list[tuple[str, IntervalScore]]:
    of_mode = world.mode == mode
    actual, name = world.transit_hours[of_mode], mode.name.lower()
    distance = np.expm1(world.features[of_mode, Feature.DISTANCE_LOG].astype(np.float64))
    return [
        (f"model, {name}", score_intervals(actual, *_transit(forecast[of_mode]))),
        (f"distance only, {name}", score_intervals(actual, *rival.forecast(distance))),
    ]


def _judge_on_olist(model: Model, rival: DistanceRival, data: Path) -> str:
    earlier, later = halves(read_olist(data))
    features = olist_features(later)
    forecast = model.score(features).astype(np.float64)
    distance, actual = later["distance_km"].to_numpy(), later["transit_hours"].to_numpy()
    before = earlier["transit_hours"].to_numpy()
    taught = fit_distance_rival(earlier["distance_km"].to_numpy(), before)
    in_sample = model.score(olist_features(earlier)).astype(np.float64)
    rows = (
        ("model", score_intervals(actual, *_transit(forecast))),
        (
            "distance only, fitted on the simulated road",
            score_intervals(actual, *rival.forecast(distance)),
        ),
        (
            "distance only, fitted on Olist's earlier half",
            score_intervals(actual, *taught.forecast(distance)),
        ),
        ("model, on the earlier half (for drift)", score_intervals(before, *_transit(in_sample))),
    )
    handling = later["handling_hours"].to_numpy() <= forecast[:, Quantity.HANDLING_HOURS]
    late = score_probabilities(later["is_late"].to_numpy(), forecast[:, Quantity.LATE_PROBABILITY])
    clipped = float(np.mean(features[:, Feature.SLACK] >= 1))
    share_before = earlier["is_late"].to_numpy().mean()
    foreseen = float(np.mean((later["is_late"].to_numpy() - share_before) ** 2))
    scores = Scores(rows, late, float(handling.mean()))
    return render_olist(model.sha256, len(later), clipped, foreseen, scores)


def _transit(forecast: Floats) -> tuple[Floats, Floats]:
    return forecast[:, Quantity.TRANSIT_P50_HOURS], forecast[:, Quantity.TRANSIT_P90_HOURS]


def _plan(arguments: Sequence[str]) -> Plan:
    parser = argparse.ArgumentParser(description="Train the shipped routing model.")
    parser.add_argument("--out", type=Path, default=ARTIFACTS, help="where the file and card go")
    parser.add_argument("--data", type=Path, default=DATA, help="data sets, for the card only")
    parser.add_argument("--rows", type=int, default=ROWS, help="deliveries to learn from")
    parser.add_argument("--steps", type=int, default=STEPS, help="batches to learn from")
    return Plan(**vars(parser.parse_args(arguments)))


def main() -> None:
    """Train on one BLAS thread."""
    hold_to_one_thread("models.training.train")
    plan = _plan(sys.argv[1:])
    print(f"{SHIPPED_MODEL} {write_model(plan)} -> {plan.out}")


if __name__ == "__main__":
    main()
