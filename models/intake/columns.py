"""Arrow columns as NumPy arrays: times, numbers, words and pairs of words."""

from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.ledger.names import string_buffers
from models.ledger.window import hash_pairs

Ints = npt.NDArray[np.int64]
NO_TIME = np.iinfo(np.int64).min
"""An instant that is not known."""


def instants(column: pa.TimestampArray) -> Ints:
    """Microseconds since 1970, ``NO_TIME`` for null."""
    raw: Ints = np.frombuffer(column.buffers()[1], np.int64)[
        column.offset : column.offset + len(column)
    ]
    if column.null_count:
        return np.where(column.is_null().to_numpy(zero_copy_only=False), NO_TIME, raw)
    return raw


def numbers(column: pa.Array) -> Ints:
    """A column of integers or booleans without nulls, as int64."""
    values: npt.NDArray[np.generic] = column.to_numpy(zero_copy_only=False)
    return values.astype(np.int64, copy=False)


class Wants(IntEnum):
    """Bits of the services that an order is to have."""

    INSTALLATION = 1
    ACCEPTANCE = 2


def wanted(data: pa.RecordBatch) -> Ints:
    """Bits of ``Wants`` of each order, or of each decision about one."""
    bits = np.zeros(len(data), np.int64)
    for want in Wants:
        bits |= numbers(data[want.name.lower()]) * want
    return bits


def pair_keys(left: pa.StringArray, right: pa.StringArray) -> npt.NDArray[np.uint64]:
    """(n, 2) 128 bits of each pair of two columns."""
    keys = np.empty((len(left), 2), np.uint64)
    hash_pairs(*string_buffers(left), *string_buffers(right), keys)
    return keys


def string_keys(
    left: pa.StringArray, right: pa.StringArray
) -> tuple[list[tuple[str, str]], npt.NDArray[np.int64]]:
    """Distinct pairs of two columns in order of appearance, and each row's index among them."""
    if not len(left):
        return [], np.empty(0, np.int64)
    keys = pair_keys(left, right)
    if (keys == keys[0]).all():  # as in most slices
        return [(left[0].as_py(), right[0].as_py())], np.zeros(len(left), np.int64)
    a, b = left.dictionary_encode(), right.dictionary_encode()
    width = len(b.dictionary)
    both = numbers(a.indices) * width + numbers(b.indices)
    distinct, first, codes = np.unique(both, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    names_a, names_b = a.dictionary.to_pylist(), b.dictionary.to_pylist()
    pairs = [(names_a[k // width], names_b[k % width]) for k in distinct[order].tolist()]
    return pairs, rank[codes]
