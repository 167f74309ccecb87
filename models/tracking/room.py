"""How large tables grow: in place, and by little, since room that nobody uses takes memory as well."""

from typing import Any

import numpy as np
import numpy.typing as npt

ROOM = 65_536
"""Rows by which a large table grows at least; it is a sixty-fourth beyond four million."""


def make_room(table: npt.NDArray[Any], needed: int) -> None:
    """Let a table have so many rows at least."""
    have = len(table)
    if needed > have:
        resize(table, max(needed, have + max(min(have, ROOM), have // 64)))


def resize(table: npt.NDArray[Any], rows: int) -> None:
    """Give a table so many rows, the new ones zero.

    It is done in place: a large table's pages are only mapped elsewhere, where a copy would need the
    memory twice. So no view of it may be in use.
    """
    table.resize(rows, refcheck=False)


def own(table: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A table that can be resized: itself where nobody else has it, as when it was read from a file."""
    return np.require(table, requirements=("O", "W"))
