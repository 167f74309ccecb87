"""Records of devices with defaults. Times are hours after ``START``."""

import random
from collections.abc import Iterable, Sequence

import msgspec

from schemas import telemetry
from schemas.codes import Milestone, SensorException, TempClass, UnitOfMeasure
from schemas.envelope import Event
from schemas.shipments import Place
from tests.support.tracks import Said, moment, renamed, step

MINUTE = 1 / 60


def bound(
    at: float, order: str = "o1", device: str = "logger", *, package: str = "1",
    temp_class: TempClass | None = TempClass.REFRIGERATED, low: float | None = None,
    high: float | None = None,
) -> Event:  # fmt: skip
    """A device goes with a parcel."""
    data = telemetry.Binding(
        device=device, package=package, temp_class=temp_class, low_c=low, high_c=high
    )
    return telemetry.DeviceBound(
        **Said(at, source="wms").envelope(order, f"bind-{device}"), data=data
    )


def released(at: float, order: str = "o1", device: str = "logger", *, package: str = "1") -> Event:
    """It does so no longer."""
    data = telemetry.Binding(device=device, package=package, released=True)
    return telemetry.DeviceBound(
        **Said(at, source="wms").envelope(order, f"free-{device}"), data=data
    )


def sensed(
    at: float, value: float | None = 5.0, order: str = "o1", device: str = "logger", *,
    what: str = "Temperature", uom: UnitOfMeasure = UnitOfMeasure.CELSIUS,
    exception: SensorException | None = None,
) -> Event:  # fmt: skip
    """A device measured something."""
    report = telemetry.SensorReport(type=what, value=value, uom=uom, exception=exception)
    return reported(at, [report], order, device)


def reported(
    at: float, reports: Sequence[telemetry.SensorReport], order: str = "o1", device: str = "logger"
) -> Event:
    """A device sent reports."""
    data = telemetry.SensorElement(device=device, reports=list(reports))
    said = Said(at, source=f"iot/{device}")
    return telemetry.TelemetrySensor(**said.envelope(order, "sensed"), data=data)


def series(
    values: Iterable[float | None], order: str = "o1", device: str = "logger", *,
    begin: float = 0.0, every: float = 5 * MINUTE,
) -> list[Event]:  # fmt: skip
    """Readings in equal steps."""
    return [sensed(begin + n * every, value, order, device) for n, value in enumerate(values)]


def report_of(value: float, at: float) -> telemetry.SensorReport:
    """A report with a time of its own."""
    return telemetry.SensorReport(
        type="Temperature", value=value, uom=UnitOfMeasure.CELSIUS, time=moment(at)
    )


def located(
    at: float, latitude: float, longitude: float, order: str = "o1", device: str = "truck"
) -> Event:
    """A device was somewhere."""
    data = telemetry.Position(device=device, latitude=latitude, longitude=longitude)
    said = Said(at, source=f"gps/{device}")
    return telemetry.TelemetryPosition(**said.envelope(order, "located"), data=data)


def planned(
    milestone: str, at: float, latitude: float, longitude: float, order: str = "o1", *,
    package: str = "1", radius_m: float = 500.0, told: float = 0.0,
) -> Event:  # fmt: skip
    """A milestone that is to happen at a place."""
    event = step(
        Milestone(milestone), told, order, package=package, planned=at,
        event_id=f"plan-{order}-{package}-{milestone}-{at}-{told}",
    )  # fmt: skip
    place = Place(latitude=latitude, longitude=longitude, radius_m=radius_m)
    data = msgspec.structs.replace(event.data, place=place)  # type: ignore[attr-defined]
    return msgspec.structs.replace(event, data=data)


PLACES = ((40.0, 20.0), (40.3, 20.4), (40.6, 20.9))
"""Some 50 km from one to the next."""


def journey(seed: int, orders: int = 6, every: int = 5) -> tuple[list[Event], list[Event]]:
    """Parcels on a way of three places, each with a logger and a truck, some of them badly treated.

    ``every``: minutes from one report to the next.

    Returns:
        What has to be known first, and what is reported then, in the order in which it happened.
    """
    chance = random.Random(seed)
    known: list[Event] = []
    happened: list[Event] = []
    for number in range(orders):
        order = f"o{number}"
        known += [bound(0, order, device) for device in ("logger", "truck")]
        for name, hour, place in zip(
            ("departed", "arrived", "delivered"), (1, 4, 8), PLACES, strict=True
        ):
            known.append(planned(name, hour, *place, order))
        happened += [step("handed_over", 0.5, order), released(9 + chance.random(), order)]
        happened += _positions(chance, order, every)
        happened += _temperatures(chance, order, every)
        if chance.random() < 0.5:
            happened.append(step("delivered", 8 + chance.random(), order))
    named = [renamed(event, f"{event.id}#{n}") for n, event in enumerate(happened)]
    return known, sorted(named, key=lambda event: event.time)


def _positions(chance: random.Random, order: str, every: int) -> list[Event]:
    strays = chance.random() < 0.4
    events = []
    for minute in range(0, 8 * 60, every):
        hour = minute / 60
        leg, share = divmod(max(0.0, min(7.99, hour)) / 4, 1)
        share = min(1.0, share * 1.5)  # then it waits at the next place
        a, b = PLACES[int(leg)], PLACES[int(leg) + 1]
        latitude, longitude = (x + share * (y - x) for x, y in zip(a, b, strict=True))
        latitude += 0.2 if strays and 75 < minute < 150 else chance.gauss(0, 0.0005)
        events.append(located(hour, latitude, longitude, order))
    return events


def _temperatures(chance: random.Random, order: str, every: int) -> list[Event]:
    value, steps, events = 5.0, every / 5, []
    for minute in range(0, 10 * 60, every):
        value += chance.gauss(0, 0.8 * steps**0.5) + (5 - value) * 0.05 * steps
        is_failed = chance.random() < 0.03
        exception = SensorException.ERROR if is_failed else None
        events.append(sensed(minute / 60, 85.0 if is_failed else value, order, exception=exception))
    return events
