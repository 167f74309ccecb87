"""What is answered to the questions of the walk: by the activated model, or by the histories of the lanes."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.tracking.features import REMAINING_P50, REMAINING_P90
from schemas.errors import ModelError

Rows = npt.NDArray[np.float32]


class Scorer(Protocol):
    """A model as the fold needs it."""

    def score(self, features: Rows) -> Rows:
        """(n, N_INPUTS) inputs to (n, N_OUTPUTS) quantiles, each row by itself; ``ModelError`` if one fails."""


class Lanes:
    """No model: what the history of the lane says."""

    def score(self, features: Rows) -> Rows:
        """See ``Scorer``."""
        return features[:, [REMAINING_P50, REMAINING_P90]]


LANES = Lanes()
ScorerOf = Callable[[str], Scorer]
"""The scorer of an activated model by its sha256; raises ``ModelError``."""


def no_models(sha256: str) -> Scorer:
    """For those who know of none."""
    raise ModelError(f"model {sha256}: no models are at hand")


def score_rows(scorer: Scorer, features: Rows) -> Rows:
    """Quantiles of the rows; of one that the model fails on, those of its lane.

    The rows are halved until it is found: one parcel must not keep the others from being estimated.
    """
    if not len(features):
        return LANES.score(features)
    try:
        return scorer.score(features)
    except ModelError:
        if len(features) == 1:
            return LANES.score(features)
    half = len(features) // 2
    return np.concatenate([score_rows(scorer, part) for part in (features[:half], features[half:])])
