"""What a flow asks of a log, whether it is recorded (Parquet) or live (Kafka)."""

import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

import pyarrow as pa

from schemas.ids import LogId
from schemas.slices import Slice
from schemas.topics import LogOf

SLICE_RECORDS = 4096
"""Records per slice at full speed: large enough for columns to pay, some 20 ms of work."""


def partition_of(key: str, partitions: int) -> int:
    """The partition a network or an order lives in: CRC-32 of its key, so that every writer agrees."""
    return zlib.crc32(key.encode()) % partitions


class Home(NamedTuple):
    """Where the records of a network or an order are: their key on a topic, and their partition."""

    partition: int
    key: bytes


@lru_cache(maxsize=65_536)
def home_of(key: str, partitions: int) -> Home:
    """The home of a network or an order in a log of so many partitions."""
    return Home(partition_of(key, partitions), key.encode())


class Log(Protocol):
    """An ordered, partitioned log. Positions may have gaps."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    @property
    def id(self) -> LogId:
        """Its identity: another log of the same name has another."""

    @property
    def of(self) -> LogOf:
        """What it is of."""

    @property
    def partitions(self) -> int:
        """Number of its partitions."""

    def end(self, partition: int) -> int:
        """Position after the last record."""


@dataclass(frozen=True, slots=True)
class ReadSlice:
    """A slice as it was read.

    Attributes:
        piece: the records; may be empty where all that was read was refused.
        read_at: monotonic clock, seconds.
        refused: what was no record, as rows of the lake's ``dead_letters``.
    """

    piece: Slice
    read_at: float
    refused: pa.Table | None = None

    @property
    def first(self) -> int:
        """Position of the first message read."""
        return min(self._positions(0))

    @property
    def last(self) -> int:
        """Position of the last message read."""
        return max(self._positions(-1))

    def _positions(self, row: int) -> list[int]:
        found = [int(self.piece.positions[row])] if len(self.piece) else []
        if self.refused is not None:
            found.append(self.refused["position"][row].as_py())
        return found
