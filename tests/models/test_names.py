"""Names to numbers: exact, growing, and the same after a checkpoint."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ledger.names import Names

words = st.lists(st.text(max_size=5), max_size=60)


def column(values: list[str]) -> pa.StringArray:
    return pa.array(values, pa.string())


@given(batches=st.lists(words, max_size=5))
def test_every_name_has_the_number_of_its_first_appearance(batches: list[list[str]]) -> None:
    names, numbers = Names(2), dict[str, int]()

    for batch in batches:
        codes = names.intern(column(batch)).tolist()

        for word in batch:
            numbers.setdefault(word, len(numbers))
        assert codes == [numbers[word] for word in batch]

    assert list(names) == list(numbers)
    assert len(names) == len(numbers)


@given(known=words, asked=words)
def test_finding_adds_nothing(known: list[str], asked: list[str]) -> None:
    names = Names()
    names.intern(column(known))
    held = list(names)

    codes = names.find(column(asked)).tolist()

    assert [code >= 0 for code in codes] == [word in known for word in asked]
    assert list(names) == held


@given(known=words)
def test_a_checkpoint_keeps_every_number(known: list[str]) -> None:
    names = Names()
    codes = names.intern(column(known)).tolist()

    restored = Names.from_arrays(names.to_arrays())

    assert restored.find(column(known)).tolist() == codes
    assert restored.intern_one("a name that is new") == len(names)


@pytest.mark.parametrize("kept", [1, 65, 100, 129, 1_000])
def test_kept_names_are_numbered_anew_in_the_given_order(kept: int) -> None:
    names = Names()
    names.intern(column([f"n-{i}" for i in range(1_100)]))
    codes = names.find(column([f"n-{i}" for i in range(kept)][::-1]))

    fewer = names.kept(codes)

    assert list(fewer) == [f"n-{i}" for i in range(kept)][::-1]
    assert fewer.find_one("n-1050") == -1
    assert fewer.intern_one("n-1050") == kept


def test_a_slice_of_a_column_is_read_from_its_offset() -> None:
    names = Names()

    codes = names.intern(column(["a", "bb", "ccc", "bb"]).slice(1, 2))

    assert codes.tolist() == [0, 1]
    assert list(names) == ["bb", "ccc"]


def test_an_empty_column_has_no_numbers() -> None:
    assert Names().intern(column([])).tolist() == []


def test_empty_names_and_names_of_any_script_are_names() -> None:
    names = Names()

    codes = names.intern(column(["", "上海", "", "Zürich", "上海"]))

    assert codes.tolist() == [0, 1, 0, 2, 1]
    assert list(names) == ["", "上海", "Zürich"]


def test_taking_gives_the_names_of_the_numbers() -> None:
    names = Names()
    codes = names.intern(column(["x", "yy", "z"]))

    assert names.take(codes[[2, 0, 2]]).to_pylist() == ["z", "x", "z"]
