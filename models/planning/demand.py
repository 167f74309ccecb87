"""Orders that may come: drawn from a forecast of units by SKU and region."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.planning.orders import LINES, Ints, Orders, plain_orders

Floats = npt.NDArray[np.float64]
MAX_ORDERS = 4_000
"""Orders of one draw; where more are expected, each stands for several."""


@dataclass(frozen=True, eq=False)
class Expected:
    """What is expected of the time to come, in the codes of one network.

    Attributes:
        units: (skus, regions) expected.
        lines: (LINES,) share of the orders with 1, 2, ... lines; longer ones count as the last.
        line_qty: (skus,) mean units of a line, at least 1.
        weight_g: (skus,) of one unit.
        volume_cm3: (skus,) of one unit.
        needs: (skus,) capability bits.
    """

    units: Floats
    lines: Floats
    line_qty: Floats
    weight_g: Ints
    volume_cm3: Ints
    needs: Ints

    def take(self, skus: Ints, regions: Ints) -> "Expected":
        """The same for these SKUs and regions, in this order."""
        return Expected(
            units=self.units[np.ix_(skus, regions)],
            lines=self.lines,
            line_qty=self.line_qty[skus],
            weight_g=self.weight_g[skus],
            volume_cm3=self.volume_cm3[skus],
            needs=self.needs[skus],
        )


def draw_orders(
    expected: Expected, at: int, generator: np.random.Generator
) -> tuple[Orders, float]:
    """One draw of the orders to come.

    Lines are drawn independently of one another, so that an order may ask for a SKU twice. The units of a
    line are its SKU's mean, rounded up or down at random so that the mean holds.

    Args:
        expected: the forecast.
        at: the instant of planning, us.
        generator: of all that is random.

    Returns:
        The orders, and how many orders each stands for.
    """
    rates = expected.units / expected.line_qty[:, None]  # lines by SKU and region
    sizes = np.arange(1, LINES + 1)
    count = float(rates.sum() / max(1.0, expected.lines @ sizes))
    n = min(int(generator.poisson(count)), MAX_ORDERS)
    region, size = np.zeros(0, np.int64), np.zeros(0, np.int64)
    by_region = rates.sum(axis=0)
    if n:
        region = np.sort(generator.choice(len(by_region), n, p=by_region / by_region.sum()))
        size = generator.choice(sizes, n, p=expected.lines)
    there = np.arange(LINES) < size[:, None]
    sku = np.full((n, LINES), -1, np.int64)
    bounds = np.searchsorted(region, np.arange(len(by_region) + 1))
    for r in np.unique(region).tolist():
        rows = slice(int(bounds[r]), int(bounds[r + 1]))
        steps = np.cumsum(rates[:, r])
        drawn = generator.random((bounds[r + 1] - bounds[r], LINES)) * steps[-1]
        sku[rows] = np.minimum(np.searchsorted(steps, drawn, side="right"), len(steps) - 1)
    sku[~there] = -1
    mean = expected.line_qty[sku]
    qty = np.floor(mean + generator.random((n, LINES))).astype(np.int64) * there
    weight = expected.weight_g[sku] * there
    volume = expected.volume_cm3[sku] * there
    needs = expected.needs[sku] * there
    orders = plain_orders(region, sku, qty, weight, volume, needs, at)
    return orders, max(1.0, count / MAX_ORDERS)
