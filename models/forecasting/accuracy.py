"""How far a forecast is off, measured on the end of a history that it has not seen."""

from dataclasses import dataclass

import numpy as np

from models.forecasting.seasonal import History, forecast

HOLD_OUT_SHARE = 0.25
"""Of the history, at its end."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Errors on the hold-out.

    Attributes:
        wape: sum of absolute errors by SKU and region, over the units that were ordered.
        wape_by_sku: the same with the regions of a SKU added up.
        bias: units expected over units ordered, less 1; above 0: too much was expected.
        hours: length of the hold-out.
        units: that were ordered in it.
    """

    wape: float
    wape_by_sku: float
    bias: float
    hours: int
    units: int


def measure(history: History) -> Accuracy | None:
    """Errors on the last quarter of a history, foreseen from the rest; None if there is nothing there."""
    hours = round(HOLD_OUT_SHARE * (history.end_hour - history.first_hour))
    border = history.end_hour - hours
    held = history.between(border, history.end_hour)
    units = int(held.units.sum())
    if units == 0 or border <= history.first_hour:
        return None
    known = history.between(history.first_hour, border)
    expected = forecast(known, border, history.end_hour)
    cell = held.sku * history.regions + held.region
    actual = np.bincount(cell, held.units, expected.size).reshape(expected.shape)
    return Accuracy(
        wape=float(np.abs(expected - actual).sum() / units),
        wape_by_sku=float(np.abs(expected.sum(axis=1) - actual.sum(axis=1)).sum() / units),
        bias=float(expected.sum() / units - 1.0),
        hours=hours,
        units=units,
    )
