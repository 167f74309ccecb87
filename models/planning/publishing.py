"""Prices as the records that a network takes them from."""

from datetime import UTC, datetime, timedelta

import numpy as np

from models.heap import Slot
from models.planning.problem import Ints
from models.routing.arrays import Count
from models.routing.network import Network
from schemas.inventory import PricedItem, Prices, PricesPublished

ITEMS = 5_000
"""Prices in one record, about 350 kB of JSON: a topic takes 1 MB."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def prices_records(network: Network, prices: Ints) -> list[PricesPublished]:
    """The next epoch of prices, of every SKU that has one now or had one before.

    Args:
        network: whose stock is priced; the records are dated at its log time.
        prices: (skus, nodes) minor units.

    Returns:
        One record, or several if there are many prices; ids follow from the network, epoch and time.
    """
    items, epoch = _items(network, prices), int(network.counts[Count.PRICE_EPOCH]) + 1
    tenant, name = network.key.split("/")
    return [
        PricesPublished(
            id=f"prices-{network.key}-{epoch}-{network.log_time}-{start // ITEMS}",
            source="crossdock/planner",
            subject=f"epoch-{epoch}",
            time=_EPOCH + timedelta(microseconds=network.log_time),
            tenant=tenant,
            network=name,
            data=Prices(epoch=epoch, items=items[start : start + ITEMS]),
        )
        for start in range(0, max(1, len(items)), ITEMS)
    ]


def _items(network: Network, prices: Ints) -> list[PricedItem]:
    skus, nodes = network.names["skus"].listed(), network.names["nodes"].listed()
    before = network.heap[Slot.PRICES][: len(skus), : len(nodes)]
    told = np.flatnonzero((prices > 0).any(axis=1) | (before > 0).any(axis=1))
    return [
        PricedItem(node=node, sku=skus[sku], price_minor=int(prices[sku, k]))
        for sku in told.tolist()
        for k, node in enumerate(nodes)
    ]
