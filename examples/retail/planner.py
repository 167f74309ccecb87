"""The planner's side of the example: how much stock there is at first, and what is ordered when.

The data has no stock, so a periodic review (order up to a level, below a trigger) plays the buyer.
It looks at the network as a whole: position = launched + ordered - sold + come back, and only at
what was known at the review. Demand is the mean over the trailing weeks, each line cut to
``line_cap_units`` so that one wholesale order does not set the pace. The two exceptions to "only
what was known" are the stock at the start and the launch of a SKU, both sized from the first weeks
of its own demand.

All arrays are (weeks, skus) int64, SKUs in ascending order; week w ends with review w.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import polars as pl

from examples.retail.world import NodeSpec, StockRule

Ints = npt.NDArray[np.int64]
WEEK = timedelta(days=7)


class Review(NamedTuple):
    """One weekly review: when it is held and when what it orders arrives, UTC."""

    held_at: datetime
    arrives_at: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """Units to have at the start and units each review orders."""

    skus: list[str]
    initial: Ints
    reviews: list[Review]
    ordered: Ints


def reviews_of(rule: StockRule, timezone: str, first: datetime, last: datetime) -> list[Review]:
    """The reviews after ``first`` whose goods arrive by ``last``."""
    zone = ZoneInfo(timezone)
    day = first.astimezone(zone).date()
    day += timedelta(days=(rule.review_weekday - day.isoweekday()) % 7)
    reviews: list[Review] = []
    while True:
        held = datetime.combine(day, rule.review_time, zone)
        arrives = datetime.combine(day + timedelta(rule.lead_days), rule.arrival_time, zone)
        if arrives > last:
            return reviews
        if held > first:
            reviews.append(Review(held, arrives))
        day += WEEK


def plan_stock(
    sold: pl.DataFrame, back: pl.DataFrame, rule: StockRule, reviews: list[Review]
) -> Plan:
    """What to have and what to order.

    Args:
        sold: ``sku``, ``at``, ``quantity`` of every order line.
        back: the same of every cancelled or returned unit.
        rule: the declared stock rule.
        reviews: when to look, in order; at least one.
    """
    skus = sold["sku"].unique().sort().to_list()
    launches = _launches(sold, rule)
    first_at = launches["first_at"].to_list()
    known = np.array([_launch_review(at, reviews) for at in first_at], np.int64)
    cover = launches["weekly"].to_numpy() * rule.launch_cover_weeks + rule.least_units
    units = _packed(cover, rule.pack_units)
    initial = np.where(known < 0, units, 0)
    ordered = np.zeros((len(reviews), len(skus)), np.int64)
    at_launch = np.flatnonzero(known >= 0)
    ordered[known[at_launch], at_launch] = units[at_launch]
    capped = sold.with_columns(pl.col("quantity").clip(upper_bound=rule.line_cap_units))
    leaving = _by_week(sold, skus, reviews) - _by_week(back, skus, reviews)
    pace = _pace(_by_week(capped, skus, reviews), launches["weekly"].to_numpy(), known, rule)
    _reorder(ordered, initial, leaving, pace, known, rule)
    return Plan(skus, initial, reviews, ordered)


def _launches(sold: pl.DataFrame, rule: StockRule) -> pl.DataFrame:
    """Per SKU: ``first_at`` and ``weekly``, the mean weekly demand of its first weeks."""
    first = sold.with_columns(first_at=pl.col("at").min().over("sku"))
    opening = first.filter(pl.col("at") < pl.col("first_at") + rule.launch_weeks * WEEK)
    units = pl.col("quantity").clip(upper_bound=rule.line_cap_units).sum()
    weekly = (units / rule.launch_weeks).alias("weekly")
    return opening.group_by("sku").agg(pl.col("first_at").first(), weekly).sort("sku")


def _launch_review(first_at: datetime, reviews: list[Review]) -> int:
    """The last review whose goods arrive before the first sale; -1: it is there at the start."""
    return sum(review.arrives_at <= first_at for review in reviews) - 1


def _by_week(moves: pl.DataFrame, skus: list[str], reviews: list[Review]) -> Ints:
    """Units per review period; what happens after the last review is nobody's concern."""
    ends = np.array([r.held_at.timestamp() for r in reviews])
    weeks = np.searchsorted(ends, moves["at"].dt.epoch("s").to_numpy(), side="left")
    columns = np.searchsorted(np.array(skus), moves["sku"].to_numpy())
    units = np.zeros((len(reviews) + 1, len(skus)), np.int64)
    np.add.at(units, (weeks, columns), moves["quantity"].to_numpy())
    return units[:-1]


def _pace(
    capped: Ints, launch_weekly: npt.NDArray[np.float64], known: Ints, rule: StockRule
) -> npt.NDArray[np.float64]:
    """Weekly demand as each review sees it: of the trailing weeks, or of the launch at first."""
    sums = np.cumsum(capped, axis=0)
    earlier = np.zeros_like(sums)
    earlier[rule.trailing_weeks :] = sums[: -rule.trailing_weeks]
    trailing = (sums - earlier) / rule.trailing_weeks
    weeks = np.arange(len(capped))[:, None]
    settled = weeks >= np.maximum(known, 0) + rule.trailing_weeks
    return np.where(settled, trailing, launch_weekly)


def _reorder(
    ordered: Ints,
    initial: Ints,
    leaving: Ints,
    pace: npt.NDArray[np.float64],
    known: Ints,
    rule: StockRule,
) -> None:
    """Fill in the orders of every review, week by week; ``ordered`` holds the launches."""
    position = initial.copy()
    for week in range(len(ordered)):
        position += ordered[week] - leaving[week]
        trigger = rule.reorder_below_weeks * pace[week] + rule.least_units
        low = (position < trigger) & (known < week)
        missing = rule.order_up_to_weeks * pace[week] + rule.least_units - position
        extra = np.where(low, _packed(missing, rule.pack_units), 0)
        ordered[week] += extra
        position += extra


def _packed(units: npt.NDArray[np.float64], pack_units: int) -> Ints:
    """Whole packs, upwards; at least none."""
    packs: Ints = np.ceil(np.maximum(units, 0) / pack_units).astype(np.int64)
    return packs * pack_units


def split(units: Ints, nodes: list[NodeSpec], pack_units: int) -> Ints:
    """(nodes, skus): whole packs by the nodes' shares; the first node takes what is left."""
    shares = np.array([node.stock_share for node in nodes])[:, None]
    parts: Ints = np.floor(units * shares / pack_units + 1e-9).astype(np.int64) * pack_units
    parts[0] = units - parts[1:].sum(axis=0)
    return parts
