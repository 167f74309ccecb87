"""The published tables, as they are. Weights in kg, rates in USD, capacities in orders a day."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from examples.script import read_published


@dataclass(frozen=True, slots=True)
class Tables:
    """One frame per published table.

    Attributes:
        orders: one row per order, with the plant, port and carrier it was historically given.
        rates: freight by carrier, port, service, mode, transport days and weight band.
        plants: ``plant``, ``daily_capacity``, ``cost_unit``, by plant.
        products: which ``plant`` may ship which ``product_id``.
        ports: which ``plant`` may use which ``port``.
        vmi: the only ``customer`` values of the plants that are listed.
    """

    orders: pl.DataFrame
    rates: pl.DataFrame
    plants: pl.DataFrame
    products: pl.DataFrame
    ports: pl.DataFrame
    vmi: pl.DataFrame


def read_tables(data_dir: Path) -> Tables:
    """The tables of a directory, with one name for the plant in all of them."""

    def read(name: str, **names: str) -> pl.DataFrame:
        return read_published(data_dir / f"{name}.parquet").rename(names).unique()

    capacities = read("warehouse_capacities", plant_id="plant")
    costs = read("warehouse_costs", wh="plant")
    return Tables(
        orders=read("orders", plant_code="plant").sort("order_id"),
        rates=read("freight_rates"),
        plants=capacities.join(costs, on="plant").sort("plant"),
        products=read("products_per_warehouse", plant_code="plant").sort("plant", "product_id"),
        ports=read("warehouse_ports", plant_code="plant").sort("plant", "port"),
        vmi=read("vmi_customers", plant_code="plant", customers="customer").sort(
            "plant", "customer"
        ),
    )
