"""What was seen lately: duplicates of (source, id) within a window of log time.

Two generations of a hash set of 128-bit keys. A record is a duplicate if either holds its key. When the
younger generation is one window old, or full, the older one is dropped and a new one begun, so that a
key is remembered for at least one window (or ``max_records`` records) after it was last seen, and at most
two: what keeps coming, as the last page of a shop that is asked every minute, is kept known.
"""

import numpy as np
import numpy.typing as npt

from models.heap import Addresses, Heap, Slot, fetch_ahead, fill, opener
from models.jit import kernel
from models.ledger.names import hash_bytes

_EMPTY = np.uint64(0)
_KEYS, _KEY_BYTES = int(Slot.SEEN_KEYS), 16
_NO_TIME = np.iinfo(np.int64).min
_AHEAD = 8
_PIECE = 65_536
"""Places that are looked through at a time, so that little more than the keys is in memory."""


open_keys = opener(Slot.SEEN_KEYS, np.uint64, 3)  # (2, 2**k, 2)
open_state = opener(Slot.SEEN_STATE, np.int64)  # (4,) keys held by each; the younger; its start


def new_window(heap: Heap, capacity: int = 1024) -> None:
    """Put an empty window into the heap."""
    heap.put(Slot.SEEN_KEYS, np.zeros((2, 2 * capacity, 2), np.uint64))
    heap.put(Slot.SEEN_STATE, np.array([0, 0, 0, _NO_TIME], np.int64))


def make_room(heap: Heap, records: int) -> None:
    """Let either generation take this many more keys."""
    needed = _places_for(int(heap[Slot.SEEN_STATE][:2].max()) + records)
    if needed > heap[Slot.SEEN_KEYS].shape[1]:
        _rebuild(heap, _generations(heap), needed)


def held_keys(heap: Heap) -> npt.NDArray[np.uint64]:
    """(n, 2) keys of both generations, one after the other: what a checkpoint keeps."""
    held, at = np.empty((int(heap[Slot.SEEN_STATE][:2].sum()), 2), np.uint64), 0
    for generation, count in zip(heap[Slot.SEEN_KEYS], heap[Slot.SEEN_STATE][:2], strict=True):
        for first in range(0, len(generation) if count else 0, _PIECE):
            part = _held(generation[first : first + _PIECE])
            held[at : at + len(part)] = part
            at += len(part)
    return held


def restore(heap: Heap, keys: npt.NDArray[np.uint64]) -> None:
    """Put back what ``held_keys`` gave; the window's state must be in the heap already."""
    first = int(heap[Slot.SEEN_STATE][0])
    places = _places_for(max(first, len(keys) - first, 1024))
    _rebuild(heap, [keys[:first], keys[first:]], places)


def _places_for(keys: int) -> int:
    """Five keys have eight places: a search passes three keys on average, and memory is what counts here."""
    return keys * 8 // 5 + 1


def _generations(heap: Heap) -> list[npt.NDArray[np.uint64]]:
    keys, counts = heap[Slot.SEEN_KEYS], heap[Slot.SEEN_STATE][:2].tolist()
    return [_held(keys[k]) if count else keys[k, :0] for k, count in enumerate(counts)]


def _held(generation: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    return generation[(generation[:, 0] | generation[:, 1]) != _EMPTY]


def _rebuild(heap: Heap, generations: list[npt.NDArray[np.uint64]], places: int) -> None:
    heap.put(Slot.SEEN_KEYS, np.zeros((2, 1 << int(places - 1).bit_length(), 2), np.uint64))
    heap[Slot.SEEN_STATE][:2] = 0
    for number, keys in enumerate(generations):
        _insert_all(heap.addresses, number, keys)


@kernel
def _insert_all(heap: Addresses, generation: int, keys: npt.NDArray[np.uint64]) -> None:
    for i in range(len(keys)):
        if i + _AHEAD < len(keys):
            fetch_key(heap, keys[i + _AHEAD, 0])
        _insert(heap, generation, keys[i, 0], keys[i, 1])


@kernel
def _find(heap: Addresses, generation: int, a: np.uint64, b: np.uint64) -> int:
    """Place of the key, or -1 - (the free place where it would go)."""
    both = open_keys(heap)
    mask = np.uint64(both.shape[1] - 1)
    at = a & mask
    keys = both[generation]
    while keys[at, 0] != _EMPTY or keys[at, 1] != _EMPTY:
        if keys[at, 0] == a and keys[at, 1] == b:
            return np.int64(at)
        at = (at + np.uint64(1)) & mask
    return -1 - np.int64(at)


@kernel
def fetch_key(heap: Addresses, a: np.uint64) -> None:
    """Ask for the places where a key would be, for ``is_repeated`` some records later."""
    size = int(open_keys(heap).shape[1])
    at: int = np.int64(a & np.uint64(size - 1))
    fetch_ahead(heap, _KEYS, at * _KEY_BYTES)
    fetch_ahead(heap, _KEYS, (at + size) * _KEY_BYTES)


@kernel
def _insert(heap: Addresses, generation: int, a: np.uint64, b: np.uint64) -> None:
    at = _find(heap, generation, a, b)
    if at < 0:
        keys = open_keys(heap)
        keys[generation, -1 - at, 0] = a
        keys[generation, -1 - at, 1] = b
        open_state(heap)[generation] += 1


@kernel
def is_repeated(
    heap: Addresses, a: np.uint64, b: np.uint64, now: int, span: int, max_records: int
) -> bool:
    """Whether the key was seen within the window; it is remembered from now on.

    Args:
        heap: its window is changed; ``make_room`` must have been called.
        a: first half of the key.
        b: second half.
        now: log time in microseconds.
        span: length of the window in microseconds.
        max_records: begin a new generation at this many keys.
    """
    state = open_state(heap)
    young = state[2]
    if state[3] == _NO_TIME:
        state[3] = now
    if now - state[3] >= span or state[young] >= max_records:
        young = 1 - young
        keys = open_keys(heap)[young]
        for i in range(len(keys)):
            fill(keys[i], _EMPTY)
        state[young], state[2], state[3] = 0, young, now
    if _find(heap, young, a, b) >= 0:
        return True
    is_known = state[1 - young] > 0 and _find(heap, 1 - young, a, b) >= 0
    _insert(heap, young, a, b)
    return is_known


@kernel
def hash_pairs(
    left_offsets: npt.NDArray[np.int32],
    left: npt.NDArray[np.uint8],
    right_offsets: npt.NDArray[np.int32],
    right: npt.NDArray[np.uint8],
    keys: npt.NDArray[np.uint64],
) -> None:
    """128-bit keys of two string columns taken together, into ``keys``: (n, 2) uint64."""
    for i in range(len(keys)):
        for half in range(2):
            seed = np.uint64(half + 1) * np.uint64(0x9E3779B97F4A7C15)
            h = hash_bytes(left, left_offsets[i], left_offsets[i + 1], seed)
            keys[i, half] = hash_bytes(right, right_offsets[i], right_offsets[i + 1], h)
