"""Identifiers. A bare ``str`` never crosses a function border as an id."""

from typing import NewType

OrderId = NewType("OrderId", str)
NodeId = NewType("NodeId", str)
Sku = NewType("Sku", str)
RegionId = NewType("RegionId", str)
LaneId = NewType("LaneId", str)
LogId = NewType("LogId", str)

NetworkKey = NewType("NetworkKey", str)
"""``tenant/network``: the unit of order and of scale."""


def network_key(tenant: str, network: str) -> NetworkKey:
    """The key under which one tenant's network is partitioned and routed."""
    return NetworkKey(f"{tenant}/{network}")
