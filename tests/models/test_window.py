"""What was seen lately: remembered for at least a window, and for two at most."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.heap import Heap, Slot
from models.ledger.window import (
    hash_pairs,
    held_keys,
    is_repeated,
    make_room,
    new_window,
    restore,
)

SPAN, MANY = 100, 1_000_000


def window(capacity: int = 16) -> Heap:
    heap = Heap(len(Slot))
    new_window(heap, capacity)
    return heap


def seen(heap: Heap, key: int, now: int, most: int = MANY) -> bool:
    make_room(heap, 1)
    a, b = np.uint64(key * 7919), np.uint64(key + 1)
    return bool(is_repeated(heap.addresses, a, b, now, SPAN, most))


def test_a_key_is_a_repeat_the_second_time() -> None:
    heap = window()

    assert not seen(heap, 1, 0)
    assert seen(heap, 1, 1)
    assert not seen(heap, 2, 1)


@pytest.mark.parametrize("later", [0, SPAN // 2, SPAN - 1, SPAN])
def test_a_key_is_remembered_for_a_window(later: int) -> None:
    heap = window()
    seen(heap, 0, 0)
    seen(heap, 1, 60)

    assert seen(heap, 1, 60 + later)


def test_a_key_is_forgotten_after_two_windows() -> None:
    heap = window()
    seen(heap, 1, 0)
    seen(heap, 2, SPAN)
    seen(heap, 3, 2 * SPAN)

    assert not seen(heap, 1, 2 * SPAN)
    assert seen(heap, 2, 2 * SPAN)


def test_a_key_that_keeps_coming_is_kept_known() -> None:
    heap = window()
    seen(heap, 1, 0)

    assert all(seen(heap, 1, now) for now in range(SPAN, 20 * SPAN, SPAN))
    assert heap[Slot.SEEN_STATE][:2].max() == 1, "once in a generation"


def test_a_full_generation_makes_way_for_a_new_one() -> None:
    heap = window()
    for key in range(8):
        seen(heap, key, 0, most=4)

    assert seen(heap, 5, 0, most=4)
    assert seen(heap, 7, 0, most=4)
    assert not seen(heap, 0, 0, most=4)


def test_time_that_goes_back_forgets_nothing() -> None:
    heap = window()
    seen(heap, 1, 90)

    assert seen(heap, 1, 10)


@given(keys=st.lists(st.integers(0, 300), max_size=400))
def test_within_a_window_exactly_the_repeats_are_found(keys: list[int]) -> None:
    heap, known = window(2), set[int]()

    for key in keys:
        assert seen(heap, key, 0) == (key in known)
        known.add(key)


def keys_of(left: list[str], right: list[str]) -> list[tuple[int, int]]:
    def buffers(words: list[str]) -> tuple[np.ndarray, np.ndarray]:
        data = "".join(words).encode()
        lengths = [0, *(len(w.encode()) for w in words)]
        return np.cumsum(lengths).astype(np.int32), np.frombuffer(data or b"\0", np.uint8)

    keys = np.empty((len(left), 2), np.uint64)
    hash_pairs(*buffers(left), *buffers(right), keys)
    return [(int(a), int(b)) for a, b in keys]


def test_keys_tell_where_source_ends_and_id_begins() -> None:
    first, second, third = keys_of(["ab", "a", "ab"], ["c", "bc", "c"])

    assert first != second
    assert first == third


def test_a_window_that_is_taken_up_again_knows_the_same_and_takes_no_more_room() -> None:
    heap, again = window(), window()
    for key in range(3_000):
        seen(heap, key, 0, most=1_500)

    again.put(Slot.SEEN_STATE, heap[Slot.SEEN_STATE].copy())
    restore(again, held_keys(heap))

    assert again[Slot.SEEN_KEYS].shape == heap[Slot.SEEN_KEYS].shape
    assert again[Slot.SEEN_STATE].tolist() == heap[Slot.SEEN_STATE].tolist()
    assert all(seen(again, key, 0) for key in range(3_000))
