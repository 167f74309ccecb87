"""The network: 16 -> 32 -> 16 -> 4 with ReLU, trained by Adam in plain NumPy.

Its four raw outputs are ``ln p50``, ``ln (p90 - p50)``, the logit of being late, and
``ln handling``. An exponential keeps hours positive and quantiles in order as a softplus would (it
is the softplus of ``ln (1 + hours)``), and one vectorised operation for all heads costs the router
less. Quantiles survive a logarithm, so they are fitted to ``ln hours`` by pinball loss: an hour
counts more next door than across an ocean. Everything runs in a fixed order, so a seed gives the
same bytes (on one BLAS thread).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from models.simulation.deliveries import Deliveries

Array = npt.NDArray[np.float32]
WIDTHS = (16, 32, 16, 4)
BATCH_ROWS = 4096
LEARNING_RATE = 4e-3  # falls to nothing along half a cosine
DECAYS = (0.9, 0.999)  # of Adam's two moments
TINY = 1e-8  # keeps Adam's denominator from zero


@dataclass(frozen=True, eq=False)
class Network:
    """Weights (rows in, rows out) and biases of the three layers, for normalised inputs."""

    mean: Array  # (16,)
    scale: Array  # (16,), never 0
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class Targets:
    """What a delivery turned out to be: each (n,) float32."""

    log_transit: Array
    log_handling: Array
    is_late: Array


def targets_of(deliveries: Deliveries) -> Targets:
    """The outcomes of ``deliveries`` in the units of the loss."""
    return Targets(
        np.log(deliveries.transit_hours).astype(np.float32),
        np.log(deliveries.handling_hours).astype(np.float32),
        deliveries.is_late.astype(np.float32),
    )


def fit(
    features: Array, targets: Targets, steps: int, generator: np.random.Generator
) -> Iterator[tuple[Network, float]]:
    """Train for ``steps`` batches; yields the network and the loss of the batch after each step.

    Args:
        features: (n, 16) float32 as in the contract, not normalised.
        targets: outcomes of the same rows.
        steps: how many batches; the learning rate falls along them.
        generator: draws the first weights and the order of rows.
    """
    network = _start(features, targets, generator)
    parameters = [*network.weights, *network.biases]
    moments = [(np.zeros_like(p), np.zeros_like(p)) for p in parameters]
    normal = (features - network.mean) / network.scale
    for step in range(steps):
        rows = generator.integers(0, len(features), BATCH_ROWS)
        batch = Targets(*(t[rows] for t in vars(targets).values()))
        loss, gradients = _gradients(network, normal[rows], batch)
        rate = LEARNING_RATE * (1 + np.cos(np.pi * step / steps)) / 2
        for parameter, gradient, pair in zip(parameters, gradients, moments, strict=True):
            _adam(parameter, gradient, pair, rate, step + 1)
        yield network, loss


def raw_outputs(network: Network, features: Array) -> Array:
    """The four raw outputs of (n, 16) features: (n, 4) float32."""
    return _forward(network, (features - network.mean) / network.scale)[-1]


def quantities(raw: Array) -> Array:
    """Raw outputs as the contract's columns: (n, 4), p50, p90, late probability, handling."""
    p50, extra, odds, handling = np.exp(raw).T
    return np.stack([p50, p50 + extra, odds / (1 + odds), handling], axis=1)


def pinball(error: npt.NDArray[np.floating], share: float) -> float:
    """Mean pinball loss of ``error`` (actual less forecast) at quantile ``share``."""
    return float(np.mean(np.maximum(share * error, (share - 1) * error)))


def _start(features: Array, targets: Targets, generator: np.random.Generator) -> Network:
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    scale = features.std(axis=0, dtype=np.float64).astype(np.float32)
    scale[scale == 0] = 1
    pairs = list(pairwise(WIDTHS))
    weights = [generator.normal(0, (2 / p[0]) ** 0.5, p).astype(np.float32) for p in pairs]
    biases = [np.zeros(p[1], np.float32) for p in pairs]
    # Outputs begin at the plain medians, so that the first steps do not go into finding the level.
    transit, handling = (np.median(t) for t in (targets.log_transit, targets.log_handling))
    biases[-1][:] = np.array([transit, transit, 0, handling], np.float32)
    return Network(mean, scale, tuple(weights), tuple(biases))


def _forward(network: Network, normal: Array) -> list[Array]:
    """Activations of each layer, the input first."""
    layers = [normal]
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        summed = layers[-1] @ weight + bias
        layers.append(summed if i == len(network.weights) - 1 else np.maximum(summed, 0))
    return layers


def _gradients(network: Network, normal: Array, targets: Targets) -> tuple[float, list[Array]]:
    """The loss of a batch, and its gradients: of the weights, then of the biases."""
    layers = _forward(network, normal)
    loss, slope = _loss(layers[-1], targets)
    weight_slopes: list[Array] = []
    bias_slopes: list[Array] = []
    for below, weight in zip(reversed(layers[:-1]), reversed(network.weights), strict=True):
        weight_slopes.append(below.T @ slope)
        bias_slopes.append(slope.sum(axis=0))
        slope = (slope @ weight.T) * (below > 0)
    return loss, [*reversed(weight_slopes), *reversed(bias_slopes)]


def _loss(raw: Array, targets: Targets) -> tuple[float, Array]:
    """Sum of the four mean losses, and its slope in the raw outputs: (n, 4)."""
    log_p50, log_extra, logit, log_handling = raw.T
    log_p90 = np.logaddexp(log_p50, log_extra)
    share_p50 = np.exp(log_p50 - log_p90)  # how much of ln p90 moves with ln p50
    errors = [
        targets.log_transit - log_p50,
        targets.log_transit - log_p90,
        targets.log_handling - log_handling,
    ]
    late = 1 / (1 + np.exp(-logit))
    log_loss = np.mean(np.logaddexp(0, logit) - targets.is_late * logit)
    loss = sum(pinball(e, share) for e, share in zip(errors, (0.5, 0.9, 0.5), strict=True))
    to_p50, to_p90, to_handling = (
        np.where(e > 0, -share, 1 - share) for e, share in zip(errors, (0.5, 0.9, 0.5), strict=True)
    )
    slope = np.stack(
        [
            to_p50 + to_p90 * share_p50,
            to_p90 * (1 - share_p50),
            late - targets.is_late,
            to_handling,
        ],
        axis=1,
    )
    return loss + float(log_loss), (slope / len(raw)).astype(np.float32)


def _adam(
    parameter: Array, gradient: Array, moments: tuple[Array, Array], rate: float, step: int
) -> None:
    """Move ``parameter`` in place by one step of Adam. Source: Kingma and Ba 2015, algorithm 1."""
    for moment, decay, power in zip(moments, DECAYS, (1, 2), strict=True):
        moment *= np.float32(decay)
        moment += np.float32(1 - decay) * gradient**power
    first, second = (m / (1 - d**step) for m, d in zip(moments, DECAYS, strict=True))
    parameter -= (rate * first / (np.sqrt(second) + TINY)).astype(np.float32)
