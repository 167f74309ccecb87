"""The stock ledger against a dictionary: count, adjust, reserve, release, consume, in any order."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from models.heap import Heap, Slot
from models.ledger import stock
from models.ledger.stock import MAX_UNITS, Applied, new_stock, resize_stock

SKUS, NODES = 3, 2
cells = st.tuples(st.integers(0, SKUS - 1), st.integers(0, NODES - 1))
units = st.one_of(st.integers(0, 12), st.just(1_000_000_000))
instants = st.integers(0, 5)


@dataclass
class Cell:
    on_hand: int = 0
    reserved: int = 0
    safety: int = 0
    counted_at: int | None = None

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved - self.safety


class StockMachine(RuleBasedStateMachine):
    """Every rule does the same to the ledger and to the dictionary."""

    @initialize()
    def start(self) -> None:
        self.heap = Heap(len(Slot))
        new_stock(self.heap, SKUS, NODES)
        self.books = {(sku, node): Cell() for sku in range(SKUS) for node in range(NODES)}
        self.published: list[tuple[int, int]] = []
        self.seen = dict.fromkeys(self.books, 0)

    def changed(self, place: tuple[int, int]) -> None:
        if place not in self.published:
            self.published.append(place)

    @rule(place=cells, on_hand=units, safety=st.integers(0, 3), at=instants)
    def count(self, place: tuple[int, int], on_hand: int, safety: int, at: int) -> None:
        cell = self.books[place]
        stale = cell.counted_at is not None and at < cell.counted_at

        result = stock.count(self.heap.addresses, *place, on_hand, safety, at)

        if stale:
            assert result == Applied.STALE
            return
        cell.on_hand, cell.safety, cell.counted_at = on_hand, safety, at
        assert result == (Applied.OVERSOLD if cell.reserved > on_hand else Applied.DONE)
        self.changed(place)

    @rule(place=cells, delta=st.one_of(st.integers(-9, 9), st.just(1_000_000_000)), at=instants)
    def adjust(self, place: tuple[int, int], delta: int, at: int) -> None:
        cell = self.books[place]

        result = stock.adjust(self.heap.addresses, *place, delta, at)

        if cell.counted_at is not None and at <= cell.counted_at:
            assert result == Applied.STALE
        elif cell.on_hand + delta > MAX_UNITS:
            assert result == Applied.OVERFLOW
        else:
            after, cell.on_hand = cell.on_hand + delta, max(0, cell.on_hand + delta)
            oversold = Applied.OVERSOLD if cell.reserved > after else Applied.DONE
            assert result == (Applied.DRIFT if after < 0 else oversold)
            self.changed(place)

    @rule(place=cells, qty=st.integers(-1, 12))
    def reserve(self, place: tuple[int, int], qty: int) -> None:
        cell = self.books[place]
        if qty <= 0 or qty > cell.available:
            with pytest.raises(ValueError, match="more units than are available"):
                stock.reserve(self.heap.addresses, *place, qty)
            return

        stock.reserve(self.heap.addresses, *place, qty)

        cell.reserved += qty
        self.changed(place)

    @rule(place=cells, qty=st.integers(-1, 12))
    def release(self, place: tuple[int, int], qty: int) -> None:
        cell = self.books[place]
        if qty <= 0 or qty > cell.reserved:
            with pytest.raises(ValueError, match="more units than are reserved"):
                stock.release(self.heap.addresses, *place, qty)
            return

        stock.release(self.heap.addresses, *place, qty)

        cell.reserved -= qty
        self.changed(place)

    @rule(place=cells, qty=st.integers(-1, 12))
    def consume(self, place: tuple[int, int], qty: int) -> None:
        cell = self.books[place]
        if qty <= 0 or qty > cell.reserved:
            with pytest.raises(ValueError, match="more units than are reserved"):
                stock.consume(self.heap.addresses, *place, qty)
            return
        short = cell.on_hand < qty

        result = stock.consume(self.heap.addresses, *place, qty)

        assert result == (Applied.DRIFT if short else Applied.DONE)
        cell.reserved -= qty
        cell.on_hand = max(0, cell.on_hand - qty)
        self.changed(place)

    @rule()
    def refresh(self) -> None:
        stock.refresh_view(self.heap.addresses)

        self.seen = {place: cell.available for place, cell in self.books.items()}

    @rule()
    def publish(self) -> None:
        nodes = self.heap[Slot.CELLS].shape[1]
        into = np.empty(int(self.heap[Slot.CELL_LENGTHS][1]), np.int32)

        stock.take_changed(self.heap.addresses, into)

        assert [(int(c) // nodes, int(c) % nodes) for c in into] == self.published
        self.published = []

    @precondition(lambda self: self.heap[Slot.CELLS].size < 200)
    @rule(skus=st.integers(0, 3), nodes=st.integers(0, 3))
    def grow(self, skus: int, nodes: int) -> None:
        have = self.heap[Slot.CELLS].shape
        resize_stock(self.heap, have[0] + skus, have[1] + nodes)

    @invariant()
    def the_ledger_is_the_dictionary(self) -> None:
        table = self.heap[Slot.CELLS]
        for place, cell in self.books.items():
            row = table[place]
            safety = int(self.heap[Slot.SAFETY][place])
            mine = (int(row["on_hand"]), int(row["reserved"]), safety)
            assert mine == (cell.on_hand, cell.reserved, cell.safety)
            assert int(self.heap[Slot.FREE_SEEN][place]) == self.seen[place]
            assert stock.available(self.heap.addresses, *place) == cell.available


TestStockMachine = StockMachine.TestCase
TestStockMachine.settings = settings(max_examples=60, stateful_step_count=40)
