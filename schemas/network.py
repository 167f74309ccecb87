"""The network: nodes, their capacity, the lanes between nodes and regions, and outside signals.

``subject`` is the node, the lane or the region.
"""

from datetime import date
from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.codes import CapacityMeasure, LocationType, Mode, SignalKind, TempClass
from schemas.envelope import Event, Id, Instant

Rate = Annotated[float, Meta(ge=0, le=1e12)]
"""Money in minor units, possibly a fraction of one; amounts are rounded once, when charged."""


def _ambient_only() -> list[TempClass]:
    return [TempClass.AMBIENT]


class Node(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """What a node can do. ``customers`` (if any) are the only ones it serves."""

    location_type: LocationType = LocationType.DISTRIBUTION_CENTRE
    temp_classes: list[TempClass] = msgspec.field(default_factory=_ambient_only)
    hazmat: bool = False
    open: bool = True
    handling_per_unit_minor: Rate = 0.0
    handling_per_package_minor: Rate = 0.0
    customers: Annotated[list[Id], Meta(max_length=100_000)] = []
    utc_offset_minutes: Annotated[int, Meta(ge=-840, le=840)] = 0


class Capacity(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """What a node can ship a day: on one ``date``, or on the given ISO ``weekdays`` (none: all).

    ``capacity`` absent means no bound. Orders decided after ``cut_off_minute`` (local minute of the
    day) leave on the next open day.
    """

    day: date | None = None
    weekdays: Annotated[list[Annotated[int, Meta(ge=1, le=7)]], Meta(max_length=7)] = []
    capacity: Annotated[int, Meta(ge=0, le=1_000_000_000)] | None = None
    measure: CapacityMeasure = CapacityMeasure.UNITS
    cut_off_minute: Annotated[int, Meta(ge=0, le=1440)] = 1440
    open: bool = True


class TariffBand(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Charge for a package of ``from_kg`` <= weight <= ``to_kg``: max(minimum, base + kg x rate)."""

    from_kg: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    to_kg: Annotated[float, Meta(ge=0, le=1e9)] = 1e9
    base_minor: Rate = 0.0
    per_kg_minor: Rate = 0.0
    minimum_minor: Rate = 0.0


class Lane(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """One way from a node to a region with one carrier and service. Bands may leave gaps.

    What is heavier than ``parcel_max_kg`` or larger than ``parcel_max_litres`` (0: no bound) goes in several
    parcels, each charged. A parcel is charged for the greater of its weight and its volume times
    ``volumetric_kg_per_m3``. A carrier that is out of service has its lanes not ``open``.
    """

    node: Id
    region: Id
    carrier: Id = "default"
    service: Id = "standard"
    mode: Mode = Mode.ROAD
    origin_port: Annotated[str, Meta(max_length=128)] = ""
    distance_km: Annotated[float, Meta(ge=0, le=50_000)] = 0.0
    transit_hours: Annotated[float, Meta(ge=0, le=10_000)] = 0.0
    bands: Annotated[list[TariffBand], Meta(min_length=1, max_length=1_000)]
    temp_classes: list[TempClass] = msgspec.field(default_factory=_ambient_only)
    hazmat: bool = False
    open: bool = True
    parcel_max_kg: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    parcel_max_litres: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    volumetric_kg_per_m3: Annotated[float, Meta(ge=0, le=10_000)] = 0.0


class Signal(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Something outside that changes demand or transit in a region for a while."""

    kind: SignalKind
    severity: Annotated[float, Meta(ge=0, le=1)]
    starts_at: Instant
    ends_at: Instant


class NodeSet(Event, tag="node.set", kw_only=True, frozen=True, gc=False):
    """A node was opened, closed or changed; the whole node, not a difference."""

    data: Node


class CapacitySet(Event, tag="capacity.set", kw_only=True, frozen=True, gc=False):
    """A node said what it can ship."""

    data: Capacity


class LaneSet(Event, tag="lane.set", kw_only=True, frozen=True, gc=False):
    """A lane was opened, closed or changed; the whole lane, not a difference."""

    data: Lane


class SignalObserved(Event, tag="signal.observed", kw_only=True, frozen=True, gc=False):
    """Weather, a promotion or sentiment was observed in a region."""

    data: Signal
