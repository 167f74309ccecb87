"""Every scenario by name."""

from collections.abc import Callable, Mapping

from models.simulation.scenarios import (
    cold_chain,
    double_11,
    dtc_car,
    last_unit,
    node_outage,
    stock_error,
    store_network,
)
from models.simulation.scene import Setting
from models.simulation.world import World

MAKERS: Mapping[str, Callable[[Setting], World]] = {
    "dtc-car": dtc_car.make,
    "last-unit": last_unit.make,
    "store-network": store_network.make,
    "node-outage": node_outage.make,
    "double-11": double_11.make,
    "cold-chain": cold_chain.make,
    "stock-error": stock_error.make,
}
"""Makers of fresh worlds: a world can be unfolded once."""
