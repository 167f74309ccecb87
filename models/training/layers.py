"""Layers with ReLU between them, trained by Adam in plain NumPy.

Everything runs in a fixed order, so a seed gives the same bytes (on one BLAS thread).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
BATCH_ROWS = 4096
LEARNING_RATE = 4e-3  # falls to nothing along half a cosine
DECAYS = (0.9, 0.999)  # of Adam's two moments
TINY = 1e-8  # keeps Adam's denominator from zero

Loss = Callable[[Array, npt.NDArray[np.int64]], tuple[float, Array]]
"""Of the raw outputs of a batch and its rows: the loss, and its slope in the raw outputs."""


@dataclass(frozen=True, eq=False)
class Network:
    """Weights (rows in, rows out) and biases of the layers, for normalised inputs."""

    mean: Array  # (inputs,)
    scale: Array  # (inputs,), never 0
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]


def start(
    features: Array, widths: Sequence[int], level: Array, generator: np.random.Generator
) -> Network:
    """A network that has learnt nothing but the level of its outputs.

    Args:
        features: (n, inputs) float32, not normalised.
        widths: of the inputs, of each hidden layer and of the outputs.
        level: (outputs,) where the outputs begin, so that the first steps do not go into finding it.
        generator: draws the first weights.
    """
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    scale = features.std(axis=0, dtype=np.float64).astype(np.float32)
    scale[scale == 0] = 1
    pairs = list(pairwise(widths))
    weights = [generator.normal(0, (2 / p[0]) ** 0.5, p).astype(np.float32) for p in pairs]
    biases = [np.zeros(p[1], np.float32) for p in pairs]
    biases[-1][:] = level
    return Network(mean, scale, tuple(weights), tuple(biases))


def train(
    network: Network, features: Array, loss_of: Loss, steps: int, generator: np.random.Generator
) -> Iterator[float]:
    """Train a network in place for ``steps`` batches; yields the loss of the batch after each.

    Args:
        network: it is changed.
        features: (n, inputs) float32, not normalised.
        loss_of: compares raw outputs with what became of their rows.
        steps: how many batches; the learning rate falls along them.
        generator: draws the rows.
    """
    parameters = [*network.weights, *network.biases]
    moments = [(np.zeros_like(p), np.zeros_like(p)) for p in parameters]
    normal = (features - network.mean) / network.scale
    for step in range(steps):
        rows = generator.integers(0, len(features), BATCH_ROWS)
        loss, gradients = _gradients(network, normal[rows], loss_of, rows)
        rate = LEARNING_RATE * (1 + np.cos(np.pi * step / steps)) / 2
        for parameter, gradient, pair in zip(parameters, gradients, moments, strict=True):
            _adam(parameter, gradient, pair, rate, step + 1)
        yield loss


def raw_outputs(network: Network, features: Array) -> Array:
    """The raw outputs of (n, inputs) features: (n, outputs) float32."""
    return _forward(network, (features - network.mean) / network.scale)[-1]


def pinball(error: npt.NDArray[np.floating], share: float) -> float:
    """Mean pinball loss of ``error`` (actual less forecast) at quantile ``share``."""
    return float(np.mean(np.maximum(share * error, (share - 1) * error)))


def _forward(network: Network, normal: Array) -> list[Array]:
    """Activations of each layer, the input first."""
    layers = [normal]
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        summed = layers[-1] @ weight + bias
        layers.append(summed if i == len(network.weights) - 1 else np.maximum(summed, 0))
    return layers


def _gradients(
    network: Network, normal: Array, loss_of: Loss, rows: npt.NDArray[np.int64]
) -> tuple[float, list[Array]]:
    """The loss of a batch, and its gradients: of the weights, then of the biases."""
    layers = _forward(network, normal)
    loss, slope = loss_of(layers[-1], rows)
    weight_slopes: list[Array] = []
    bias_slopes: list[Array] = []
    for below, weight in zip(reversed(layers[:-1]), reversed(network.weights), strict=True):
        weight_slopes.append(below.T @ slope)
        bias_slopes.append(slope.sum(axis=0))
        slope = (slope @ weight.T) * (below > 0)
    return loss, [*reversed(weight_slopes), *reversed(bias_slopes)]


def _adam(
    parameter: Array, gradient: Array, moments: tuple[Array, Array], rate: float, step: int
) -> None:
    """Move ``parameter`` in place by one step of Adam. Source: Kingma and Ba 2015, algorithm 1."""
    for moment, decay, power in zip(moments, DECAYS, (1, 2), strict=True):
        moment *= np.float32(decay)
        moment += np.float32(1 - decay) * gradient**power
    first, second = (m / (1 - d**step) for m, d in zip(moments, DECAYS, strict=True))
    parameter -= (rate * first / (np.sqrt(second) + TINY)).astype(np.float32)
