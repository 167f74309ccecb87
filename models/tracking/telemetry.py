"""What devices report, as numbers: the step from Arrow to the kernels for telemetry."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.intake.columns import instants, pair_keys
from models.lifecycle.steps import Step
from models.tracking.arrays import CLASSES, FIX, REPORT, Quantity, Records
from models.tracking.devices import NO_LIMIT
from models.tracking.places import packed
from models.tracking.state import TrackState
from schemas.codes import ReadingState, SensorException, UnitOfMeasure
from schemas.kinds import Kind
from schemas.slices import Slice

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

STANDARD_GRAVITY = 9.80665
QUANTITIES = {
    "Temperature": Quantity.TEMPERATURE,
    "RelativeHumidity": Quantity.HUMIDITY,
    "Acceleration": Quantity.SHOCK,
    "Illuminance": Quantity.LIGHT,
}
"""EPCIS measurement types that there is a rule for."""
UNITS: Mapping[Quantity, Mapping[UnitOfMeasure, tuple[float, float]]] = {
    Quantity.TEMPERATURE: {
        UnitOfMeasure.CELSIUS: (1, 0),
        UnitOfMeasure.FAHRENHEIT: (5 / 9, -32 * 5 / 9),
        UnitOfMeasure.KELVIN: (1, -273.15),
    },
    Quantity.HUMIDITY: {UnitOfMeasure.PERCENT: (1, 0)},
    Quantity.SHOCK: {
        UnitOfMeasure.GRAVITY: (1, 0),
        UnitOfMeasure.METRE_PER_SECOND_SQUARED: (1 / STANDARD_GRAVITY, 0),
    },
    Quantity.LIGHT: {UnitOfMeasure.LUX: (1, 0)},
}
"""Factor and offset of each unit to degrees Celsius, %, g and lux."""
_UNITS = [unit.value for unit in UnitOfMeasure]
_CLASSES = {None if c is None else c.value: number for number, c in enumerate(CLASSES)}


def _conversions() -> Floats:
    """(quantities, units, 2): factor and offset; NaN where the unit is none of the quantity."""
    table = np.full((len(Quantity), len(UnitOfMeasure), 2), np.nan)
    table[Quantity.NONE] = (1, 0)
    for quantity, units in UNITS.items():
        for unit, conversion in units.items():
            table[quantity, _UNITS.index(unit.value)] = conversion
    return table


_CONVERSIONS = _conversions()


def encode_telemetry(
    state: TrackState, piece: Slice, records: Records
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Complete the records of devices; gives the reports and the fixes that they refer to."""
    known = [(kind, *piece.of_kind(kind)) for kind in _KINDS]
    rows = np.concatenate([found for _, found, _ in known])
    if not len(rows):
        return np.zeros(0, REPORT), np.zeros(0, FIX)
    devices = pa.concat_arrays([data["device"] for *_, data in known])
    order = np.argsort(rows)
    entries = records["entry"]
    entries["node"][rows[order]] = state.words.intern(devices.take(pa.array(order)))
    mine = piece.envelope.take(pa.array(rows))
    keys = pair_keys(mine["source"], mine["id"])
    entries["key"][rows], records["retracts"][rows] = np.maximum(keys[:, 0], 1), keys[:, 1]
    (_, bound, bindings), (_, sensed, elements), (_, located, positions) = known
    if len(bound):
        _bindings(state, bound, bindings, records)
    return _reports(sensed, elements, records), _fixes(located, positions, records)


_KINDS = (Kind.DEVICE_BOUND, Kind.TELEMETRY_SENSOR, Kind.TELEMETRY_POSITION)


def _bindings(state: TrackState, rows: Rows, data: pa.RecordBatch, records: Records) -> None:
    entries = records["entry"]
    released = data["released"].to_numpy(zero_copy_only=False)
    entries["step"][rows] = np.where(released, Step.RELEASED, Step.BOUND)
    entries["package"][rows] = state.words.intern(data["package"])
    entries["classifier"][rows] = [_CLASSES[name] for name in data["temp_class"].to_pylist()]
    low, high = (_limits(data[name]) for name in ("low_c", "high_c"))
    entries["also"][rows] = packed(low, high)


def _limits(column: pa.DoubleArray) -> npt.NDArray[np.int64]:
    """Hundredths of a degree."""
    hundredths = np.rint(column.fill_null(0).to_numpy() * 100).astype(np.int64)
    return np.where(column.is_null().to_numpy(zero_copy_only=False), NO_LIMIT, hundredths)


def _reports(rows: Rows, data: pa.RecordBatch, records: Records) -> npt.NDArray[Any]:
    """Reports of all records one after another, and each record's share of them."""
    counts = pc.list_value_length(data["reports"]).to_numpy()
    records["entry"]["step"][rows] = Step.SENSED
    records["count"][rows], records["detail"][rows] = counts, np.cumsum(counts) - counts
    told = data["reports"].flatten()
    reports = np.zeros(len(told), REPORT)
    if not len(told):
        return reports
    types, units = told.field("type").dictionary_encode(), told.field("uom").dictionary_encode()
    quantity = np.array([QUANTITIES.get(t, 0) for t in types.dictionary.to_pylist()], np.uint8)
    unit = np.array([_UNITS.index(u) for u in units.dictionary.to_pylist()])
    reports["quantity"] = quantity[types.indices.to_numpy()]
    factor, offset = _CONVERSIONS[reports["quantity"], unit[units.indices.to_numpy()]].T
    value, least, most = (told.field(n) for n in ("value", "min_value", "max_value"))
    low = pc.coalesce(least, value, most).to_numpy(zero_copy_only=False)
    high = pc.coalesce(most, value, least).to_numpy(zero_copy_only=False)
    reports["low"], reports["high"] = low * factor + offset, high * factor + offset
    reports["band_low"] = reports["band_high"] = np.nan
    happened = np.repeat(records["entry"]["at"][rows], counts)
    own = told.field("time")
    reports["at"] = np.where(own.is_valid().to_numpy(zero_copy_only=False), instants(own), happened)
    is_error = pc.equal(told.field("exception"), SensorException.ERROR.value).fill_null(False)
    failed = is_error.to_numpy(zero_copy_only=False) | np.isnan(low.astype(np.float64))
    reports["state"] = np.where(np.isnan(factor), ReadingState.WRONG_UNIT, 0)
    reports["state"][failed] = ReadingState.FAILED
    return reports


def _fixes(rows: Rows, data: pa.RecordBatch, records: Records) -> npt.NDArray[Any]:
    records["entry"]["step"][rows] = Step.LOCATED
    records["detail"][rows] = np.arange(len(rows))
    fixes = np.zeros(len(rows), FIX)
    for name in ("progress", "remaining_km", "off_route_km"):
        fixes[name] = np.nan
    for name in ("latitude", "longitude"):
        fixes[name] = data[name].to_numpy()
    return fixes
