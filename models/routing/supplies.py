"""What nodes hold and expect: counts, adjustments, returns and planned supply."""

from models.heap import Addresses
from models.jit import kernel
from models.ledger.stock import (
    DRIFT,
    OVERFLOW,
    OVERSOLD,
    STALE,
    adjust,
    available,
    count,
    is_oversold,
)
from models.routing.arrays import open_counts, open_fields, open_items, open_records
from models.routing.books import add_to_agenda, dead_letter, raise_exception
from models.routing.codes import (
    E_DRIFT,
    E_LATE,
    E_OVERSELL,
    F_NAME,
    F_NODE,
    F_REQUESTED,
    INVENTORY_COUNTED,
    N_SUPPLIES,
    NO_NODE,
    RECALL_STOCK,
    RETURN_RECEIVED,
    TOO_MANY,
)
from models.routing.recalls import recall
from models.routing.state import open_skus, open_supplies


@kernel
def report_stock(
    heap: Addresses, position: int, result: int, node: int, sku: int, qty: int, now: int
) -> None:
    """The exception that a count or an adjustment calls for, if any."""
    if result == STALE:
        raise_exception(heap, position, E_LATE, -1, node, sku, qty, now)
    elif result == DRIFT:
        raise_exception(heap, position, E_DRIFT, -1, node, sku, qty, now)
    elif result == OVERSOLD:
        raise_exception(heap, position, E_OVERSELL, -1, node, sku, qty, now)


@kernel
def _fulfil_supply(heap: Addresses, sku: int, node: int, name: int, qty: int) -> None:
    skus = open_skus(heap)
    supplies = open_supplies(heap)
    supply = skus.first_supply[sku]
    while supply >= 0:
        if supplies.name[supply] == name and supplies.node[supply] == node:
            supplies.qty[supply] = max(0, supplies.qty[supply] - qty)
        supply = supplies.next[supply]


@kernel
def change_stock(heap: Addresses, i: int, now: int) -> None:
    """A count, an adjustment or a return."""
    fields = open_fields(heap)
    items = open_items(heap)
    records = open_records(heap)
    node, position, kind = fields[i, F_NODE], records.position[i], records.kind[i]
    if node < 0:
        dead_letter(heap, position, NO_NODE, kind, i, now)
        return
    for j in range(records.first_line[i], records.first_line[i + 1]):
        sku, qty, at = items.sku[j], items.qty[j], records.event_time[i]
        before = available(heap, sku, node)
        if kind == INVENTORY_COUNTED:
            result = count(heap, sku, node, qty, items.safety[j], at)
        elif kind == RETURN_RECEIVED and not items.safety[j]:
            continue
        else:
            result = adjust(heap, sku, node, qty, at)
            if qty > 0 and fields[i, F_NAME] >= 0:
                _fulfil_supply(heap, sku, node, fields[i, F_NAME], qty)
        if result == OVERFLOW:
            dead_letter(heap, position, TOO_MANY, kind, i, now)
            continue
        report_stock(heap, position, result, node, sku, qty, now)
        if available(heap, sku, node) > before:
            add_to_agenda(heap, sku)
        if is_oversold(heap, sku, node):
            recall(heap, RECALL_STOCK, node)


@kernel
def _chain_supply(heap: Addresses, supply: int) -> None:
    """Insert by due time; of two due together the one announced first."""
    skus = open_skus(heap)
    supplies = open_supplies(heap)
    sku, due = supplies.sku[supply], supplies.due_at[supply]
    before, at = -1, skus.first_supply[sku]
    while at >= 0 and supplies.due_at[at] <= due:
        before, at = at, supplies.next[at]
    supplies.next[supply] = at
    if before < 0:
        skus.first_supply[sku] = supply
    else:
        supplies.next[before] = supply


@kernel
def _unchain_supply(heap: Addresses, supply: int) -> None:
    skus = open_skus(heap)
    supplies = open_supplies(heap)
    sku = supplies.sku[supply]
    at = skus.first_supply[sku]
    if at == supply:
        skus.first_supply[sku] = supplies.next[supply]
        return
    while supplies.next[at] != supply:
        at = supplies.next[at]
    supplies.next[at] = supplies.next[supply]


@kernel
def plan_ahead(heap: Addresses, i: int, now: int) -> None:
    """Supply was planned, planned anew or withdrawn."""
    counts = open_counts(heap)
    fields = open_fields(heap)
    items = open_items(heap)
    records = open_records(heap)
    skus = open_skus(heap)
    supplies = open_supplies(heap)
    node, name = fields[i, F_NODE], fields[i, F_NAME]
    if node < 0:
        dead_letter(heap, records.position[i], NO_NODE, records.kind[i], i, now)
        return
    for j in range(records.first_line[i], records.first_line[i + 1]):
        sku = items.sku[j]
        at = skus.first_supply[sku]
        while at >= 0 and (supplies.name[at] != name or supplies.node[at] != node):
            at = supplies.next[at]
        if at >= 0:
            _unchain_supply(heap, at)
        else:
            at = counts[N_SUPPLIES]
            counts[N_SUPPLIES] += 1
            supplies.sku[at], supplies.node[at] = sku, node
            supplies.name[at], supplies.promised[at] = name, 0
        supplies.qty[at] = items.qty[j]
        supplies.due_at[at] = fields[i, F_REQUESTED]
        _chain_supply(heap, at)
