"""Places as numbers: two of 32 bits in one of 64, each ten-millionth of a degree (a centimetre)."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
GRID = 1e7
_HALF = 32


def packed(high: Ints, low: Ints) -> Ints:
    """Two numbers of 32 bits each as one."""
    both: Ints = (high.astype(np.int64) << _HALF) | (low.astype(np.int64) & 0xFFFFFFFF)
    return both


def packed_places(latitude: npt.NDArray[np.float64], longitude: npt.NDArray[np.float64]) -> Ints:
    """Places of degrees."""
    return packed(np.rint(latitude * GRID), np.rint(longitude * GRID))


def unpacked(places: Ints) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Latitude and longitude of places, degrees."""
    lower = (places & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
    return (places >> _HALF) / GRID, lower / GRID
