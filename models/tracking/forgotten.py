"""Orders that the state has forgotten: their keys alone, for as long again as they were kept.

What comes of such an order after that is followed, but nothing of it is told a second time, and nobody waits
for anything any more; until the router decides on it anew.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.intake.columns import pair_keys
from models.tracking.arrays import Ints

Keys = npt.NDArray[np.uint64]


class Forgotten:
    """Keys as 64 bits, sorted, each with the log time until which it is remembered."""

    def __init__(self) -> None:
        self.keys: Keys = np.zeros(0, np.uint64)
        self.until: Ints = np.zeros(0, np.int64)

    def add(self, names: pa.StringArray, until: Ints, clock: int) -> None:
        """Remember these, and drop what has been remembered for long enough."""
        keys = np.concatenate([self.keys, _hashed(names)])
        ends = np.concatenate([self.until, until])
        order = np.argsort(keys, kind="stable")
        kept = order[ends[order] > clock]
        self.keys, self.until = keys[kept], ends[kept]

    def holds(self, names: pa.StringArray) -> npt.NDArray[np.bool_]:
        """Of each name, whether it is remembered."""
        found: npt.NDArray[np.bool_] = np.isin(_hashed(names), self.keys)
        return found

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What a checkpoint keeps."""
        return {"keys": self.keys, "until": self.until}

    def restore(self, kept: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Take up what ``to_arrays`` gave."""
        self.keys, self.until = kept["keys"].astype(np.uint64), kept["until"].astype(np.int64)


def _hashed(names: pa.StringArray) -> Keys:
    return pair_keys(names, names)[:, 0]
