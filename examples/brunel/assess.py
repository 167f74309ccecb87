"""What an assignment costs and which rules it breaks, from the published tables alone.

Nothing here reads the log or the router's costs, so that ours and the historical assignment are
held against the same independent measure. An assignment is a frame with one row per order and
plant: ``order_id`` Int64, ``plant``, ``port``, ``carrier``, ``service`` String, ``days`` Int64
(transport days), ``ship_date`` Date, ``qty`` Int64.

Cost in USD: units x the plant's unit cost, and freight: the cheapest rate of the order's lane whose
band holds its weight, at least the rate's minimum, nothing for CRF. Where the lane's carrier has no
such band the lane breaks a rule; so that the totals stay comparable, the cheapest other rate of
that port and service is charged, and the number of such orders is shown.
"""

from dataclasses import dataclass

import polars as pl

from examples.brunel.tables import Tables

CRF = "CRF"


@dataclass(frozen=True, slots=True)
class Side:
    """One assignment, measured.

    Attributes:
        assigned: orders with at least one row.
        handling_usd: units x unit cost.
        freight_usd: by the rates, or their substitutes.
        substituted: orders charged a rate of another carrier.
        transport_days: mean over the orders that are not CRF.
        broken: orders per rule that break it.
        full_days: plant-days over capacity.
        excess: orders above capacity on those days.
    """

    name: str
    assigned: int
    handling_usd: float
    freight_usd: float
    substituted: int
    transport_days: float
    broken: dict[str, int]
    full_days: int
    excess: int

    @property
    def total_usd(self) -> float:
        """Handling and freight."""
        return self.handling_usd + self.freight_usd


def measure(name: str, tables: Tables, assignment: pl.DataFrame) -> Side:
    """Everything about one assignment."""
    priced = price(tables, assignment)
    over = over_capacity(tables, assignment)
    moved = priced.filter(pl.col("service") != CRF)["days"]
    return Side(
        name=name,
        assigned=assignment["order_id"].n_unique(),
        handling_usd=round(float(priced["handling_usd"].sum()), 2),
        freight_usd=round(float(priced["freight_usd"].sum()), 2),
        substituted=int(priced["substituted"].sum()),
        transport_days=round(float(moved.sum()) / max(1, len(moved)), 3),
        broken=broken_rules(tables, assignment),
        full_days=len(over),
        excess=int(over["excess"].sum()),
    )


def historical(tables: Tables) -> pl.DataFrame:
    """The assignment in the data: everything on its one date."""
    return tables.orders.select(
        "order_id",
        "plant",
        pl.col("origin_port").alias("port"),
        "carrier",
        pl.col("service_level").alias("service"),
        pl.col("tpt").alias("days"),
        pl.col("order_date").alias("ship_date"),
        pl.col("unit_quantity").alias("qty"),
    )


def price(tables: Tables, assignment: pl.DataFrame) -> pl.DataFrame:
    """The assignment with ``handling_usd``, ``freight_usd`` and ``substituted``."""
    weights = tables.orders.select("order_id", "weight", "destination_port")
    rows = assignment.with_row_index("row").join(weights, on="order_id", how="left")
    rows = rows.join(tables.plants.select("plant", "cost_unit"), on="plant", how="left")
    own = _cheapest(tables, rows, ["carrier", "days"]).rename({"usd": "own_usd"})
    other = _cheapest(tables, rows, []).rename({"usd": "other_usd"})
    rows = rows.join(own, on="row", how="left").join(other, on="row", how="left").sort("row")
    is_free = pl.col("service") == CRF
    return rows.with_columns(
        handling_usd=pl.col("qty") * pl.col("cost_unit"),
        freight_usd=pl.when(is_free).then(0.0).otherwise(pl.coalesce("own_usd", "other_usd")),
        substituted=~is_free & pl.col("own_usd").is_null(),
    )


def _cheapest(tables: Tables, rows: pl.DataFrame, also: list[str]) -> pl.DataFrame:
    """(row, usd): the lowest charge among the rates of the port, the service and ``also``."""
    rates = tables.rates.rename(
        {"orig_port_cd": "port", "svc_cd": "service", "tpt_day_cnt": "days"}
    ).rename({"dest_port_cd": "destination_port"})
    keys = ["port", "service", "destination_port", *also]
    fits = pl.col("weight").is_between("minm_wgh_qty", "max_wgh_qty")
    charge = pl.max_horizontal("minimum_cost", pl.col("weight") * pl.col("rate"))
    found = rows.join(rates, on=keys, suffix="_rate").filter(fits)
    return found.group_by("row").agg(charge.min().alias("usd"))


def broken_rules(tables: Tables, assignment: pl.DataFrame) -> dict[str, int]:
    """How many orders break each rule; unassigned orders break none."""
    asked = tables.orders.select(
        "order_id", "product_id", "customer", "service_level", "unit_quantity"
    )
    rows = assignment.join(asked, on="order_id", how="left")
    restricted = rows.join(tables.vmi.select("plant").unique(), on="plant", how="semi")
    total = rows.group_by("order_id").agg(pl.col("qty").sum(), pl.col("unit_quantity").first())
    price_of = price(tables, assignment)
    failing = {
        "product": rows.join(tables.products, on=["plant", "product_id"], how="anti"),
        "port": rows.join(tables.ports, on=["plant", "port"], how="anti"),
        "vmi": restricted.join(tables.vmi, on=["plant", "customer"], how="anti"),
        "service": rows.filter(pl.col("service") != pl.col("service_level")),
        "weight_band": price_of.filter("substituted"),
        "one_plant": rows.filter(pl.col("order_id").is_duplicated()),
        "whole_order": total.filter(pl.col("qty") != pl.col("unit_quantity")),
    }
    return {rule: orders["order_id"].n_unique() for rule, orders in failing.items()}


def over_capacity(tables: Tables, assignment: pl.DataFrame) -> pl.DataFrame:
    """``plant``, ``ship_date``, ``orders``, ``daily_capacity``, ``excess`` where there is any."""
    shipped = assignment.group_by("plant", "ship_date").agg(
        pl.col("order_id").n_unique().cast(pl.Int64).alias("orders")
    )
    known = shipped.join(tables.plants.select("plant", "daily_capacity"), on="plant", how="left")
    excess = pl.col("orders") - pl.col("daily_capacity").fill_null(0)
    return known.with_columns(excess=excess).filter(excess > 0).sort("plant", "ship_date")


def cheapest_possible(tables: Tables) -> float:
    """USD if every order took its cheapest allowed plant, port and rate, whatever the capacity.

    No assignment that serves every order and keeps the other rules can cost less.
    """
    allowed = tables.orders.drop("plant").join(tables.products, on="product_id")
    listed = tables.vmi.select("plant").unique()
    free = allowed.join(listed, on="plant", how="anti")
    bound = allowed.join(tables.vmi, on=["plant", "customer"], how="semi")
    choices = (
        pl.concat([free, bound])
        .join(tables.ports, on="plant")
        .select(
            "order_id",
            "plant",
            "port",
            pl.lit("").alias("carrier"),
            pl.col("service_level").alias("service"),
            pl.col("tpt").alias("days"),
            pl.col("unit_quantity").alias("qty"),
        )
    )
    priced = price(tables, choices)
    best = (pl.col("handling_usd") + pl.col("freight_usd")).min()
    return round(float(priced.group_by("order_id").agg(best.alias("usd"))["usd"].sum()), 2)
