"""What devices report from the road. ``subject`` is the order id.

A device is bound to a parcel of an order and released from it; what it reports is then about that parcel. A
reading of a vehicle that carries many parcels becomes a record for each order, through the cross-reference.
Source: EPCIS 2.0, section 7.3.7 (sensor elements); units by UN/ECE recommendation 20.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.codes import SensorException, TempClass, UnitOfMeasure
from schemas.envelope import Event, Id, Instant

Value = Annotated[float, Meta(ge=-1e9, le=1e9)]
Celsius = Annotated[float, Meta(ge=-273.15, le=1000)]


class Binding(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """A device goes with a parcel, from the envelope's ``time`` on.

    Attributes:
        device: which.
        package: the parcel, as in milestones.
        released: it does so no longer.
        temp_class: band that the goods need; null: none is watched.
        low_c: lowest temperature allowed, in place of the class's, degrees Celsius.
        high_c: highest temperature allowed, likewise.
    """

    device: Id
    package: Id = "1"
    released: bool = False
    temp_class: TempClass | None = None
    low_c: Celsius | None = None
    high_c: Celsius | None = None


class SensorReport(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """One thing measured once, or over a while.

    Attributes:
        type: EPCIS measurement type, such as ``Temperature``; those without a rule are kept as they are.
        value: measured; null where the device failed, or gives extremes alone.
        min_value: least since the last report.
        max_value: greatest since then.
        uom: unit.
        exception: the device's own word on it; what it calls an error is no measurement.
        time: when, if not at the envelope's ``time``.
    """

    type: Id
    value: Value | None = None
    min_value: Value | None = None
    max_value: Value | None = None
    uom: UnitOfMeasure
    exception: SensorException | None = None
    time: Instant | None = None


class SensorElement(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Reports of one device; a logger that is read out sends many at once."""

    device: Id
    reports: Annotated[list[SensorReport], Meta(min_length=1, max_length=1000)]


class Position(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Where a device was at the envelope's ``time``."""

    device: Id
    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    accuracy_m: Annotated[float, Meta(ge=0, le=1e6)] | None = None
    speed_kmh: Annotated[float, Meta(ge=0, le=2000)] | None = None
    heading: Annotated[float, Meta(ge=0, le=360)] | None = None


class DeviceBound(Event, tag="device.bound", kw_only=True, frozen=True, gc=False):
    """A device goes with a parcel, or no longer."""

    data: Binding


class TelemetrySensor(Event, tag="telemetry.sensor", kw_only=True, frozen=True, gc=False):
    """A device measured something."""

    data: SensorElement


class TelemetryPosition(Event, tag="telemetry.position", kw_only=True, frozen=True, gc=False):
    """A device was somewhere."""

    data: Position
