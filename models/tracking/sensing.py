"""The reports of a sensor record, each judged by the band of its device."""

import numpy as np

from models.jit import borrowing_kernel
from models.tracking.arrays import (
    NOBODY,
    Bound,
    Limit,
    Quantity,
    Records,
    Sort,
    Tables,
    Term,
)
from models.tracking.devices import NO_LIMIT, device_of, lower, upper
from models.tracking.stretches import DRY, extend, part
from schemas.codes import ExceptionCode, ReadingState

TEMPERATURE, HUMIDITY = int(Quantity.TEMPERATURE), int(Quantity.HUMIDITY)
SHOCK, LIGHT = int(Quantity.SHOCK), int(Quantity.LIGHT)
UNJUDGED, IN_BAND, LOW, HIGH = (int(s) for s in list(ReadingState)[:4])
S_COLD, S_WARM, S_WET, S_SHOCK, S_LIGHT = (int(s) for s in list(Sort)[:5])
S_GOOD = int(Sort.IN_BAND)
B_LOW, B_HIGH, B_LEAST, B_MOST = (int(b) for b in list(Bound)[:4])
L_HUMIDITY, L_SHOCK, L_LIGHT = int(Limit.HUMIDITY), int(Limit.SHOCK), int(Limit.LIGHT)
T_JOINED, T_GAP = int(Term.JOINED), int(Term.GAP)
GAP = np.uint64(1 << int(ExceptionCode.SENSOR_GAP))


@borrowing_kernel
def sense(tables: Tables, record: Records) -> bool:
    """Take the reports of a record; returns whether its order is to be judged anew."""
    device = device_of(tables, record)
    if device == NOBODY:
        return False
    entry, is_new = tables.entries[device], False
    was_silent = tables.orders[record.order].raised & GAP != 0
    for r in range(record.detail, record.detail + record.count):
        report = tables.reports[r]
        if report.state != UNJUDGED:  # no measurement
            continue
        is_new |= entry.said < report.at and was_silent
        entry.said = max(entry.said, report.at)
        if report.quantity == TEMPERATURE:
            is_new |= _judge_temperature(tables, record, entry, report)
        elif report.quantity != 0:
            is_new |= _judge_other(tables, record, report)
    return is_new


@borrowing_kernel
def _judge_temperature(tables: Tables, record: Records, entry: Records, report: Records) -> bool:
    band = tables.bands[record.network, entry.classifier]
    least_allowed, most_allowed = band[B_LOW], band[B_HIGH]
    if upper(entry.also) != NO_LIMIT:
        least_allowed = upper(entry.also) / 100
    if lower(entry.also) != NO_LIMIT:
        most_allowed = lower(entry.also) / 100
    if least_allowed == -np.inf and most_allowed == np.inf:
        return False
    report.band_low, report.band_high, report.state = least_allowed, most_allowed, IN_BAND
    joined, gap = tables.terms[record.network, T_JOINED], tables.terms[record.network, T_GAP]
    is_new = False
    if report.low < least_allowed:
        report.state = LOW
        beyond = report.low < min(band[B_LEAST], least_allowed)
        is_new |= extend(tables, record, S_COLD, report.at, beyond, joined, gap)
    if report.high > most_allowed:
        report.state = HIGH
        beyond = report.high > max(band[B_MOST], most_allowed)
        is_new |= extend(tables, record, S_WARM, report.at, beyond, joined, gap)
    if report.state == IN_BAND:
        is_new |= part(tables, record, S_GOOD, report.at, joined, gap)
    return is_new


@borrowing_kernel
def _judge_other(tables: Tables, record: Records, report: Records) -> bool:
    joined, gap = tables.terms[record.network, T_JOINED], tables.terms[record.network, T_GAP]
    limits = tables.limits[record.network]
    limit, sort = limits[L_HUMIDITY], S_WET
    if report.quantity == SHOCK:
        limit, sort = limits[L_SHOCK], S_SHOCK
    elif report.quantity == LIGHT:
        limit, sort = limits[L_LIGHT], S_LIGHT
    report.band_high, report.state = limit, IN_BAND
    if report.high <= limit:
        return sort == S_WET and part(tables, record, DRY, report.at, joined, gap)
    report.state = HIGH
    return extend(tables, record, sort, report.at, False, joined, gap)
