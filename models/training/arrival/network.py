"""The arrival network: 24 -> 24 -> 12 -> 2, a correction of what the lane's history says.

``p50 = REMAINING_P50 * exp(raw 0)`` and ``p90 = p50 + (REMAINING_P90 - REMAINING_P50) * exp(raw 1)``: a network
that has learnt nothing gives the history's own quantiles, and whatever it learns keeps them in order.
What no network of the simulated world bears out is held near to the history by a penalty on the correction.
Both quantiles are fitted by pinball loss to ``ln (SOFT + scales)``: quantiles survive a logarithm, and so an
hour counts more when few are left, but the last minutes before a delivery do not count most of all.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from models.tracking.features import N_INPUTS, N_OUTPUTS, Input
from models.training.layers import Array, Network, pinball, start, train

WIDTHS = (N_INPUTS, 24, 12, N_OUTPUTS)
SOFT = 0.2  # scales
PENALTY = 0.02  # loss per squared unit of a raw output; halves what a chance of training adds on real lanes
LEAST = 1e-4  # scales; keeps a logarithm's slope finite
SHARES = (0.5, 0.9)
RAW_LIMIT = 6.0  # a correction by more than 400 times is none


def fit(
    features: Array, scales: Array, steps: int, generator: np.random.Generator
) -> Iterator[tuple[Network, float]]:
    """Train for ``steps`` batches; yields the network and the loss of the batch after each step.

    Args:
        features: (n, 24) float32 as in the contract, not normalised.
        scales: (n,) float32, until delivery.
        steps: how many batches; the learning rate falls along them.
        generator: draws the first weights and the order of rows.
    """
    network = start(features, WIDTHS, np.zeros(N_OUTPUTS, np.float32), generator)
    network.weights[-1][:] *= np.float32(0.1)  # so that the first corrections are small
    base, wanted = bases(features), np.log(SOFT + scales)

    def loss_of(raw: Array, rows: npt.NDArray[np.int64]) -> tuple[float, Array]:
        return loss_and_slope(raw, base[rows], wanted[rows])

    for loss in train(network, features, loss_of, steps, generator):
        yield network, loss


def bases(features: Array) -> Array:
    """What is corrected: (n, 2) float32, the median and how far 0.9 is above it."""
    p50, p90 = features[:, Input.REMAINING_P50], features[:, Input.REMAINING_P90]
    return np.stack([p50, p90 - p50], axis=1)


def quantiles(raw: Array, features: Array) -> Array:
    """Raw outputs as the contract's columns: (n, 2)."""
    parts = bases(features) * np.exp(np.clip(raw, -RAW_LIMIT, RAW_LIMIT))
    return np.cumsum(parts, axis=1, dtype=np.float32)


def loss_and_slope(raw: Array, base: Array, wanted: Array) -> tuple[float, Array]:
    """Sum of the two mean losses and the penalty, and its slope in the raw outputs: (n, 2).

    ``base: (n, 2)`` is what is corrected, ``wanted: (n,)`` the outcome as the loss sees it.
    """
    first, extra = (np.maximum(base, LEAST) * np.exp(np.clip(raw, -RAW_LIMIT, RAW_LIMIT))).T
    p50, p90 = SOFT + first, SOFT + first + extra
    errors = wanted - np.log(p50), wanted - np.log(p90)
    loss = sum(pinball(e, share) for e, share in zip(errors, SHARES, strict=True))
    to_p50, to_p90 = (
        np.where(e > 0, -share, 1 - share) for e, share in zip(errors, SHARES, strict=True)
    )
    slope = np.stack([to_p50 * first / p50 + to_p90 * first / p90, to_p90 * extra / p90], axis=1)
    slope += 2 * PENALTY * raw
    return loss + PENALTY * float(np.mean(np.sum(raw**2, axis=1))), (slope / len(raw)).astype(
        np.float32
    )
