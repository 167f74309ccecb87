"""Orders that a fold's state has forgotten: their keys alone, for as long as news of them may still come.

Of such an order the router decides nothing again, and the tracker tells nothing a second time. A key has
64 bits: the chance that any of a million new orders is taken for one of thirty million that are forgotten
is one in 600,000.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.intake.columns import Ints, pair_keys

Keys = npt.NDArray[np.uint64]


class Forgotten:
    """Keys as 64 bits, sorted, each with the log time until which it is remembered."""

    def __init__(self) -> None:
        self.keys: Keys = np.zeros(0, np.uint64)
        self.until: Ints = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, names: pa.StringArray, until: Ints, clock: int) -> None:
        """Remember these, one that is known already until the later time; drop what is over."""
        keys = np.concatenate([self.keys, _hashed(names)])
        ends = np.concatenate([self.until, until])
        order = np.argsort(keys, kind="stable")
        keys, ends = keys[order], ends[order]
        first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
        keys, ends = keys[first], np.maximum.reduceat(ends, first)
        self.keys, self.until = keys[ends > clock], ends[ends > clock]

    def holds(self, names: pa.StringArray) -> npt.NDArray[np.bool_]:
        """Of each name, whether it is remembered."""
        keys = _hashed(names)
        if not len(self):
            return np.zeros(len(keys), np.bool_)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self) - 1)
        found: npt.NDArray[np.bool_] = self.keys[at] == keys
        return found

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What a checkpoint keeps."""
        return {"keys": self.keys, "until": self.until}

    def restore(self, kept: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Take up what ``to_arrays`` gave."""
        self.keys, self.until = kept["keys"].astype(np.uint64), kept["until"].astype(np.int64)


def _hashed(names: pa.StringArray) -> Keys:
    return pair_keys(names, names)[:, 0]
