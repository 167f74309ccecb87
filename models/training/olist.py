"""Real Olist deliveries as columns: read where they are at hand, never copied, never trained on.

The earlier half by purchase gives the aggregates that the simulated world uses (``statistics``);
the later half is what the card judges the model on, so no evaluated delivery shaped a constant.
"""

from pathlib import Path

import polars as pl

EARTH_RADIUS_KM = 6371.0
UTC_OFFSET_HOURS = 3  # Olist writes Brasilia time; summer time (one hour) is ignored
REQUIRED = "orders.parquet"


def has_olist(data: Path) -> bool:
    """Whether the folder of data sets holds the Olist sample."""
    return (data / "olist" / REQUIRED).is_file()


def read_olist(data: Path) -> pl.DataFrame:
    """Delivered orders of one seller, oldest purchase first.

    Columns: ``approved_at`` (naive UTC), ``distance_km``, ``handling_hours`` (approval to carrier),
    ``transit_hours`` (carrier to customer), ``slack_hours`` (approval to the end of the promised
    day), ``is_late`` (by date), ``weight_kg``, ``units``, ``lines``. Orders without coordinates, or
    with a span that is not positive, are left out.
    """
    folder = data / "olist"
    orders = pl.read_parquet(folder / REQUIRED).filter(pl.col("order_status") == "delivered")
    joined = _with_places(orders.join(_contents(folder), on="order_id"), folder)
    columns = joined.select(
        "purchased_at",
        _approved_at(),
        _distance_km(),
        _hours("order_approved_at", "order_delivered_carrier_date").alias("handling_hours"),
        _hours("order_delivered_carrier_date", "order_delivered_customer_date").alias(
            "transit_hours"
        ),
        (_hours("order_approved_at", "order_estimated_delivery_date") + 24).alias("slack_hours"),
        _is_late(),
        "weight_kg",
        "units",
        "lines",
        "order_id",
    ).drop_nulls()
    kept = columns.filter((pl.col("handling_hours") > 0) & (pl.col("transit_hours") > 0))
    return kept.sort("purchased_at", "order_id").drop("purchased_at", "order_id")


def halves(deliveries: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The earlier and the later half; the earlier is the smaller where the count is odd."""
    middle = len(deliveries) // 2
    return deliveries.head(middle), deliveries.slice(middle)


def _contents(folder: Path) -> pl.DataFrame:
    """Weight, units, lines and the seller of each order that has exactly one seller."""
    weights = pl.read_parquet(folder / "products.parquet").select("product_id", "product_weight_g")
    items = pl.read_parquet(folder / "order_items.parquet").join(
        weights, on="product_id", how="left"
    )
    grouped = items.group_by("order_id").agg(
        weight_kg=pl.col("product_weight_g").sum() / 1000,
        units=pl.len(),
        lines=pl.col("product_id").n_unique(),
        sellers=pl.col("seller_id").n_unique(),
        seller_id=pl.col("seller_id").first(),
    )
    return grouped.filter(pl.col("sellers") == 1)


def _with_places(orders: pl.DataFrame, folder: Path) -> pl.DataFrame:
    places = pl.read_parquet(folder / "geolocation_zip.parquet").select("zip", "lat", "lng")
    customers = pl.read_parquet(folder / "customers.parquet").select(
        "customer_id", "customer_zip_code_prefix"
    )
    sellers = pl.read_parquet(folder / "sellers.parquet").select(
        "seller_id", "seller_zip_code_prefix"
    )
    return (
        orders.rename({"order_purchase_timestamp": "purchased_at"})
        .join(customers, on="customer_id")
        .join(sellers, on="seller_id")
        .join(places, left_on="customer_zip_code_prefix", right_on="zip")
        .join(places, left_on="seller_zip_code_prefix", right_on="zip", suffix="_seller")
    )


def _approved_at() -> pl.Expr:
    return (pl.col("order_approved_at") + pl.duration(hours=UTC_OFFSET_HOURS)).alias("approved_at")


def _is_late() -> pl.Expr:
    delivered = pl.col("order_delivered_customer_date").dt.date()
    return (delivered > pl.col("order_estimated_delivery_date").dt.date()).alias("is_late")


def _hours(start: str, end: str) -> pl.Expr:
    return (pl.col(end) - pl.col(start)).dt.total_seconds() / 3600


def _distance_km() -> pl.Expr:
    """Great-circle distance of seller and customer, by the haversine formula."""
    lat, lng = pl.col("lat").radians(), pl.col("lng").radians()
    lat_seller, lng_seller = pl.col("lat_seller").radians(), pl.col("lng_seller").radians()
    across = ((lat - lat_seller) / 2).sin() ** 2
    along = lat.cos() * lat_seller.cos() * ((lng - lng_seller) / 2).sin() ** 2
    arc = 2 * (across + along).clip(0.0, 1.0).sqrt().arcsin()
    return (arc * EARTH_RADIUS_KM).alias("distance_km")
