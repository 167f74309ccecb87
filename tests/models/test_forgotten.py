"""Keys of orders that were forgotten: each known until the latest time that was said, and no longer."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from models.intake.forgotten import Forgotten

Said = list[tuple[int, int]]
ALL = [f"o-{n}" for n in range(8)]


def names(*said: str) -> pa.StringArray:
    return pa.array(said, pa.string())


@given(st.lists(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 60)), max_size=6), max_size=6))
def test_each_is_known_until_the_latest_time_that_was_said(told: list[Said]) -> None:
    forgotten, until = Forgotten(), dict[str, int]()

    for clock, said in enumerate(told):
        ends = np.array([end for _, end in said], np.int64)
        forgotten.add(names(*(ALL[n] for n, _ in said)), ends, 10 * clock)
        for n, end in said:
            until[ALL[n]] = max(until.get(ALL[n], 0), end)
        until = {name: end for name, end in until.items() if end > 10 * clock}

    assert forgotten.holds(names(*ALL)).tolist() == [name in until for name in ALL]
    assert len(forgotten) == len(until)


def test_what_is_taken_up_again_is_the_same() -> None:
    forgotten, again = Forgotten(), Forgotten()
    forgotten.add(names("a", "b", "a"), np.array([5, 6, 7], np.int64), 0)

    again.restore(forgotten.to_arrays())

    assert again.holds(names("a", "b", "c")).tolist() == [True, True, False]
    again.add(names(), np.zeros(0, np.int64), 6)
    assert again.holds(names("a", "b")).tolist() == [True, False]
