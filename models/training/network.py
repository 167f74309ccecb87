"""The routing network: 16 -> 32 -> 16 -> 4.

Its four raw outputs are ``ln p50``, ``ln (p90 - p50)``, the logit of being late, and
``ln handling``. An exponential keeps hours positive and quantiles in order as a softplus would (it
is the softplus of ``ln (1 + hours)``), and one vectorised operation for all heads costs the router
less. Quantiles survive a logarithm, so they are fitted to ``ln hours`` by pinball loss: an hour
counts more next door than across an ocean.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.simulation.deliveries import Deliveries
from models.training.layers import Array, Network, pinball, start, train

WIDTHS = (16, 32, 16, 4)


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
    transit, handling = (np.median(t) for t in (targets.log_transit, targets.log_handling))
    level = np.array([transit, transit, 0, handling], np.float32)
    network = start(features, WIDTHS, level, generator)

    def loss_of(
        raw: Array, rows: np.ndarray[tuple[int], np.dtype[np.int64]]
    ) -> tuple[float, Array]:
        return _loss(raw, Targets(*(t[rows] for t in vars(targets).values())))

    for loss in train(network, features, loss_of, steps, generator):
        yield network, loss


def quantities(raw: Array) -> Array:
    """Raw outputs as the contract's columns: (n, 4), p50, p90, late probability, handling."""
    p50, extra, odds, handling = np.exp(raw).T
    return np.stack([p50, p50 + extra, odds / (1 + odds), handling], axis=1)


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
