"""Who scores: the activated model, or the rules; and what becomes of an order that a model fails on."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.routing.features import N_FEATURES, N_QUANTITIES
from models.routing.inputs import round_quantities, score_by_rules
from schemas.errors import ModelError


class Scorer(Protocol):
    """A model as the router needs it."""

    @property
    def low(self) -> npt.NDArray[np.float32]:
        """(16,) least value of each input in training."""

    @property
    def high(self) -> npt.NDArray[np.float32]:
        """(16,) greatest value of each input in training."""

    def score(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(n, 16) inputs to (n, 4) quantities, each row by itself; ``ModelError`` if one fails."""


class Rules:
    """Scores by rules; no input is out of its range."""

    low = np.full(N_FEATURES, -np.inf, np.float32)
    high = np.full(N_FEATURES, np.inf, np.float32)

    def score(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See ``score_by_rules``."""
        return score_by_rules(features)


RULES = Rules()
ScorerOf = Callable[[str], Scorer]
"""The scorer of an activated model by its sha256; raises ``ModelError``."""


def score_rows(scorer: Scorer, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Rounded quantities of the rows."""
    if not len(features):
        return np.empty((0, N_QUANTITIES), np.float32)
    quantities = _isolated(scorer, features)
    round_quantities(quantities)
    return quantities


def _isolated(scorer: Scorer, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Quantities of the rows; of one that the model fails on, those of the rules.

    Its inputs are then out of every range, so that the decision says how little it stands on. The rows
    are halved until it is found: one order must not keep the others from being decided.
    """
    try:
        return np.ascontiguousarray(scorer.score(features))
    except ModelError:
        if len(features) == 1:
            quantities = score_by_rules(features)
            features[:] = np.inf
            return quantities
    half = len(features) // 2
    parts = [_isolated(scorer, features[:half]), _isolated(scorer, features[half:])]
    return np.concatenate(parts)
