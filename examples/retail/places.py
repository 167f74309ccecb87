"""Nodes, capacities and lanes from their declarations; distances from coordinates.

A lane exists for every node, every region it serves and every carrier whose mode reaches the region
and whose tariff covers the distance: great circle x the carrier's detour factor. The great circle
is the haversine on a sphere of 6,371.0088 km (mean radius R1 of GRS 80, IUGG 1980).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import asin, cos, radians, sin, sqrt
from zoneinfo import ZoneInfo

from examples.retail.world import CarrierSpec, NodeSpec, RegionSpec, TariffSpec, World
from examples.stamps import Origin
from schemas.network import (
    Capacity,
    CapacitySet,
    Lane,
    LaneSet,
    Node,
    NodeSet,
    Signal,
    SignalObserved,
    TariffBand,
)

EARTH_RADIUS_KM = 6371.0088
ISO_WEEKDAYS = range(1, 8)


def great_circle_km(from_: NodeSpec, to: RegionSpec) -> float:
    """Shortest way over the sphere."""
    south, north = radians(from_.latitude), radians(to.latitude)
    east = radians(to.longitude - from_.longitude)
    half_chord = sin((north - south) / 2) ** 2 + cos(south) * cos(north) * sin(east / 2) ** 2
    return 2 * EARTH_RADIUS_KM * asin(sqrt(half_chord))


def node_events(world: World, origin: Origin, first: datetime, last: datetime) -> list[NodeSet]:
    """Every node as it stands at first, and again whenever its clocks change until ``last``."""
    events = []
    for spec in world.nodes:
        for at, offset_minutes in _offsets(spec.timezone, first, last):
            stamp = origin.stamp(f"node:{spec.node}:{at:%Y-%m-%dT%H%MZ}", spec.node, at)
            events.append(NodeSet(**stamp, data=_node(spec, offset_minutes)))
    return events


def _node(spec: NodeSpec, offset_minutes: int) -> Node:
    return Node(
        location_type=spec.location_type,
        handling_per_unit_minor=spec.handling_per_unit_minor,
        handling_per_package_minor=spec.handling_per_package_minor,
        utc_offset_minutes=offset_minutes,
    )


def _offsets(timezone: str, first: datetime, last: datetime) -> Iterator[tuple[datetime, int]]:
    """(from when on, minutes ahead of UTC); the zones of the example change on the hour."""
    zone, hour, known = ZoneInfo(timezone), timedelta(hours=1), None
    at = first.astimezone(UTC)
    while at <= last:
        offset = at.astimezone(zone).utcoffset() or timedelta(0)
        minutes = int(offset.total_seconds()) // 60
        if minutes != known:
            yield at, minutes
        known, at = minutes, at + hour


def capacity_events(world: World, origin: Origin, at: datetime) -> Iterator[CapacitySet]:
    """What each node ships on a weekday, on the others (nothing) and on its public holidays."""
    for spec in world.nodes:
        closed = [day for day in ISO_WEEKDAYS if day not in spec.open_weekdays]
        rules = {"open": _capacity(spec, list(spec.open_weekdays))}
        if closed:
            rules["closed"] = Capacity(
                weekdays=closed, capacity=0, measure=spec.measure, open=False
            )
        for day in world.holidays[spec.holidays]:
            rules[day.isoformat()] = Capacity(day=day, capacity=0, measure=spec.measure, open=False)
        for name, rule in rules.items():
            stamp = origin.stamp(f"capacity:{spec.node}:{name}", spec.node, at)
            yield CapacitySet(**stamp, data=rule)


def _capacity(spec: NodeSpec, weekdays: list[int]) -> Capacity:
    return Capacity(
        weekdays=weekdays,
        capacity=spec.capacity,
        measure=spec.measure,
        cut_off_minute=spec.cut_off_minute,
    )


def lane_events(world: World, origin: Origin, at: datetime) -> Iterator[LaneSet]:
    """Every lane, by node, region and carrier in the order of the declarations."""
    regions = {spec.region: spec for spec in world.regions}
    for node in world.nodes:
        for region in regions.values():
            if not region.modes or (node.serves and region.region not in node.serves):
                continue
            for carrier in world.carriers:
                lane = _lane(node, region, carrier)
                if lane is not None:
                    lane_id = f"{node.node}:{region.region}:{carrier.carrier}:{carrier.mode}"
                    yield LaneSet(**origin.stamp(f"lane:{lane_id}", lane_id, at), data=lane)


def _lane(node: NodeSpec, region: RegionSpec, carrier: CarrierSpec) -> Lane | None:
    distance_km = round(great_circle_km(node, region) * carrier.detour_factor, 1)
    tariff = next((t for t in carrier.tariffs if distance_km <= t.to_km), None)
    if carrier.mode not in region.modes or tariff is None or distance_km < carrier.from_km:
        return None
    return Lane(
        node=node.node,
        region=region.region,
        carrier=carrier.carrier,
        service=carrier.service,
        mode=carrier.mode,
        distance_km=distance_km,
        transit_hours=round(carrier.base_hours + distance_km / carrier.km_per_hour, 1),
        bands=_bands(tariff, carrier.from_kg),
    )


def _bands(tariff: TariffSpec, from_kg: float) -> list[TariffBand]:
    starts = [from_kg, *(band.to_kg for band in tariff.bands)]
    return [
        TariffBand(
            from_kg=start,
            to_kg=band.to_kg,
            base_minor=band.base_minor,
            per_kg_minor=band.per_kg_minor,
        )
        for start, band in zip(starts, tariff.bands, strict=False)
    ]


def signal_events(world: World, origin: Origin, at: datetime) -> Iterator[SignalObserved]:
    """Declared signals, known from the first day they touch that the log covers."""
    zone = ZoneInfo(world.timezone)
    for spec in world.signals:
        days = (spec.first_date, spec.last_date + timedelta(days=1))
        starts, ends = (datetime(d.year, d.month, d.day, tzinfo=zone).astimezone(UTC) for d in days)
        for region in spec.regions:
            name = f"signal:{spec.kind}:{region}:{spec.first_date}"
            data = Signal(kind=spec.kind, severity=spec.severity, starts_at=starts, ends_at=ends)
            yield SignalObserved(**origin.stamp(name, region, max(starts, at)), data=data)
