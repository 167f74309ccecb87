"""The forecast as the planner takes it: from what was ordered before, line by line."""

from typing import NamedTuple

import numpy as np

from models.forecasting.seasonal import History, forecast
from models.planning.demand import Expected
from models.planning.orders import LINES, Ints

HOUR_US = 3_600_000_000


class Lines(NamedTuple):
    """Lines that were ordered, in the order of the log: all (n,), names as codes of one network."""

    order: Ints  # increasing
    at: Ints  # us
    sku: Ints
    region: Ints
    qty: Ints
    weight_g: Ints  # of one unit
    volume_cm3: Ints  # of one unit
    needs: Ints  # capability bits


def history_of(lines: Lines, skus: int, regions: int, end_hour: int) -> History:
    """The lines as a history of demand up to an hour, exclusive; it begins with the first line."""
    hour = lines.at // HOUR_US
    first = int(hour.min(initial=end_hour))
    return History(lines.sku, lines.region, hour, lines.qty, skus, regions, first, end_hour)


def expect(lines: Lines, skus: int, regions: int, now_us: int, hours: int) -> Expected:
    """What is expected of the next hours.

    Args:
        lines: the past.
        skus: codes there are.
        regions: codes there are.
        now_us: the present; the hour under way counts as past, and as whole.
        hours: how far to look ahead.
    """
    hour = now_us // HOUR_US + 1
    sizes = np.minimum(np.unique(lines.order, return_counts=True)[1], LINES)
    counts = np.bincount(lines.sku, minlength=skus)
    weight, volume, needs = np.zeros((3, skus), np.int64)
    weight[lines.sku], volume[lines.sku] = lines.weight_g, lines.volume_cm3
    needs[lines.sku] = lines.needs
    return Expected(
        units=forecast(history_of(lines, skus, regions, hour), hour, hour + hours),
        lines=np.bincount(sizes - 1, minlength=LINES) / max(1, len(sizes)),
        line_qty=np.bincount(lines.sku, lines.qty, skus) / np.maximum(counts, 1) + (counts == 0),
        weight_g=weight,
        volume_cm3=volume,
        needs=needs,
    )
