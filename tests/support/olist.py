"""Olist's real orders as tracking records, in the order in which they could have been learnt."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import polars as pl

from schemas import decisions, orders, shipments
from schemas.codes import Milestone, PaymentState
from schemas.envelope import Event

BRASILIA = timezone(timedelta(hours=-3))
"""Of naive local times; the hour of summer time is left out."""


def read_orders(folder: Path) -> pl.DataFrame:
    """The orders, one a row."""
    return pl.read_parquet(folder / "orders.parquet").sort("order_purchase_timestamp", "order_id")


def tracking_records(found: pl.DataFrame) -> list[Event]:
    """What the shop and the carriers said, by when each was learnt.

    Whatever is told of an order is learnt in the order of its life, so what happened earlier than what came
    before it is late.
    """
    learnt = [event for row in found.iter_rows(named=True) for event in _of_order(row)]
    return sorted(learnt, key=lambda event: event.recordedtime or event.time)


def _of_order(row: dict[str, Any]) -> Iterator[Event]:
    known = datetime.min.replace(tzinfo=UTC)
    for cls, column, data in _told(row):
        if row[column] is None:
            continue
        at = _instant(row[column])
        known = max(known, at)
        yield cls(  # type: ignore[call-arg]
            id=f"{cls.__name__}-{column}-{row['order_id']}",
            source="olist",
            subject=row["order_id"],
            time=at,
            recordedtime=known,
            tenant="olist",
            network="brazil",
            data=data,
        )


def _told(row: dict[str, Any]) -> Iterator[tuple[type[Event], str, Any]]:
    line = orders.OrderLine(line_no=1, sku="goods", qty=1)
    customer = orders.Order(region="brazil", lines=[line], customer=row["customer_id"])
    promise = _instant(row["order_estimated_delivery_date"]) + timedelta(days=1)
    routed = decisions.Decision(
        outcome="FULLY_ROUTED", latest_commit_at=promise, original_commit_at=promise
    )
    yield orders.OrderReceived, "order_purchase_timestamp", customer
    yield decisions.DecisionRouted, "order_purchase_timestamp", routed
    paid = orders.Payment(state=PaymentState.AUTHORISED)
    yield orders.PaymentUpdated, "order_approved_at", paid
    for milestone, column in (
        (Milestone.HANDED_OVER, "order_delivered_carrier_date"),
        (Milestone.DELIVERED, "order_delivered_customer_date"),
    ):
        step = shipments.ShipmentStep(milestone=milestone)
        yield shipments.ShipmentMilestone, column, step


def _instant(local: datetime) -> datetime:
    return local.replace(tzinfo=BRASILIA).astimezone(UTC)
