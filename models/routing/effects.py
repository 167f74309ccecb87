"""Collects the effects of one network while the walk goes over a slice, as drafts.

The walk's outputs are written again for the next stretch, so what they hold is copied here, once.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from models.heap import Slot
from models.ledger.stock import take_changed
from models.routing.arrays import Count, Dead
from models.routing.drafts import Draft, Meaning
from models.routing.network import Network
from models.routing.rows import Ints
from schemas.tables import Table

_OF_DECISIONS = {
    "made": Slot.MADE_ROWS,
    "said": Slot.SAID_ROWS,
    "exclusions": Slot.EXCLUSION_ROWS,
    "plan_sizes": Slot.PLAN_SIZES,
    "plan_nodes": Slot.PLAN_NODES,
    "plan_lanes": Slot.PLAN_LANES,
}


class Effects:
    """Of one network over a slice.

    Attributes:
        drafts: what was collected, in order.
    """

    def __init__(self, network: Network, partition: int) -> None:
        self.network = network
        self.partition = partition
        self.drafts: list[Draft] = []

    def drain(self, subjects: pa.StringArray) -> None:
        """Take over the rows of the outputs, and empty the outputs."""
        heap = self.network.heap
        lengths = heap[Slot.OUT_LENGTHS]
        decisions, moves, exceptions, dead = lengths.tolist()
        sizes = {name: (slot, decisions) for name, slot in _OF_DECISIONS.items()}
        sizes |= {
            "moves": (Slot.MOVE_ROWS, moves),
            "raised": (Slot.RAISED_ROWS, exceptions),
            "dead": (Slot.DEAD_ROWS, dead),
        }
        arrays = {name: heap[slot][:n].copy() for name, (slot, n) in sizes.items() if n}
        if dead:
            records = arrays["dead"][:, Dead.RECORD].tolist()
            arrays["subjects"] = np.array([subjects[record].as_py() for record in records], object)
        lengths[:] = 0
        if arrays:
            self.drafts.append(Draft(self._meaning(), arrays))

    def add_row(
        self, table: Table, position: int, index: int, values: Mapping[str, object]
    ) -> None:
        """One row given by its values; times as microseconds."""
        meaning = self._meaning()
        row = {
            "partition": self.partition, "position": position, "index": index,
            "tenant": meaning.tenant, "network": meaning.network, **values,
        }  # fmt: skip
        self.drafts.append(Draft(meaning, {}, [(position, table, row)]))

    def add_stock(self, position: int, first_index: int, at: int) -> int:
        """Publish the cells that changed; returns how many there were."""
        heap = self.network.heap
        changed = np.empty(int(heap[Slot.CELL_LENGTHS][1]), np.int32)
        take_changed(heap.addresses, changed)
        n, nodes = len(changed), heap[Slot.CELLS].shape[1]
        if not n:
            return 0
        sku, node = changed // nodes, changed % nodes
        cells = heap[Slot.CELLS][sku, node]
        on_hand, reserved = (cells[name].astype(np.int64) for name in ("on_hand", "reserved"))
        safety = heap[Slot.SAFETY][sku, node].astype(np.int64)
        cause = np.full(n, position), np.arange(first_index, first_index + n)
        available = on_hand - reserved - safety
        columns = *cause, node, sku, on_hand, reserved, safety, available, np.full(n, at)
        stock: Ints = np.column_stack(columns).astype(np.int64, copy=False)
        self.drafts.append(Draft(self._meaning(), {"stock": stock}))
        return n

    def _meaning(self) -> Meaning:
        network, names = self.network, self.network.names
        tenant, _, name = network.key.partition("/")
        return Meaning(
            self.partition,
            tenant,
            name,
            network.policy.version,
            network.policy.carbon_g_per_tkm.factor_set,
            network.model_sha256,
            int(network.counts[Count.PRICE_EPOCH]),
            network.heap[Slot.EXCLUSION_ROWS].shape[1],
            names["orders"],
            names["tokens"],
            names["regions"],
            names["channels"],
            names["tiers"],
            names["currencies"],
            names["nodes"],
            names["lanes"],
            names["skus"],
        )
