"""Trains the shipped arrival model: ``python -m models.training.arrival.train`` writes the file and its card.

The bytes of the file follow from the seed, the code, the versions of NumPy, Numba and onnx and the CPU
class; never from the folder of real data, which only a section of the card reads.
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from models.inference import ARTIFACTS, SHIPPED_ARRIVAL_MODEL, Model, load_model
from models.simulation.journeys import draw_network
from models.training.arrival.card import Run, carried_real, render_card, render_real
from models.training.arrival.deliveries import read_cases
from models.training.arrival.evaluate import score_case, simulated_cases
from models.training.arrival.export import to_onnx
from models.training.arrival.network import WIDTHS, fit
from models.training.arrival.replay import Rows, concatenate, replay
from models.training.layers import BATCH_ROWS
from models.training.process import DATA, hold_to_one_thread
from schemas.codes import ModelOf

SEED = 20_180_502  # arbitrary
NETWORKS = 1_000
STEPS = 5_000
HOLD_OUT_NETWORKS = 200


@dataclass(frozen=True)
class Plan:
    """What to train, where to, and what to judge it on."""

    out: Path
    data: Path
    networks: int = NETWORKS
    steps: int = STEPS


def train(networks: int, steps: int) -> tuple[bytes, int]:
    """The bytes of a model file, the same for the same arguments, and how many rows taught it."""
    rows = draw_rows("world", networks)
    scales = (rows.remaining / rows.scale).astype(np.float32)
    generator = np.random.default_rng([SEED, *b"network"])
    for network, _ in fit(rows.features, scales, steps, generator):
        trained = network
    low, high = rows.features.min(axis=0), rows.features.max(axis=0)
    return to_onnx(trained, SHIPPED_ARRIVAL_MODEL, low, high), len(scales)


def draw_rows(purpose: str, networks: int) -> Rows:
    """Rows of so many simulated networks; a purpose has networks of its own."""
    seeds = ([SEED, *purpose.encode(), k] for k in range(networks))
    return concatenate([replay(*draw_network(np.random.default_rng(seed))) for seed in seeds])


def write_model(plan: Plan) -> str:
    """Train, write the file, judge it, write its card; returns the sha256 of the file."""
    content, rows = train(plan.networks, plan.steps)
    sha256 = hashlib.sha256(content).hexdigest()
    plan.out.mkdir(parents=True, exist_ok=True)
    file, card = (plan.out / f"{SHIPPED_ARRIVAL_MODEL}{suffix}" for suffix in (".onnx", ".md"))
    file.write_bytes(content)
    model = load_model(file, sha256, ModelOf.ARRIVAL)
    before = card.read_text(encoding="utf-8") if card.is_file() else ""
    parameters = sum(a * b + b for a, b in pairwise(WIDTHS))
    run = Run(SEED, plan.networks, rows, plan.steps, BATCH_ROWS, parameters, len(content))
    hold_out = simulated_cases(draw_rows("hold-out", HOLD_OUT_NETWORKS))
    scores = [score_case(case, model.score) for case in hold_out]
    text = render_card(model, run, scores, _judge_on_real(model, plan.data, before))
    card.write_text(text, encoding="utf-8")
    return sha256


def _judge_on_real(model: Model, data: Path, card: str) -> str:
    cases = read_cases(data)
    if not cases:
        return carried_real(card)
    return render_real(model.sha256, [score_case(case, model.score) for case in cases])


def _plan(arguments: Sequence[str]) -> Plan:
    parser = argparse.ArgumentParser(description="Train the shipped arrival model.")
    parser.add_argument("--out", type=Path, default=ARTIFACTS, help="where the file and card go")
    parser.add_argument("--data", type=Path, default=DATA, help="data sets, for the card only")
    parser.add_argument("--networks", type=int, default=NETWORKS, help="networks to learn from")
    parser.add_argument("--steps", type=int, default=STEPS, help="batches to learn from")
    return Plan(**vars(parser.parse_args(arguments)))


def main() -> None:
    """Train on one BLAS thread."""
    hold_to_one_thread("models.training.arrival.train")
    plan = _plan(sys.argv[1:])
    print(f"{SHIPPED_ARRIVAL_MODEL} {write_model(plan)} -> {plan.out}")


if __name__ == "__main__":
    main()
