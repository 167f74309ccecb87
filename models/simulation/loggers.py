"""Temperature loggers of refrigerated goods: quiet series, excursions, and what only looks like one.

The band is 2 to 8 degrees Celsius, and an excursion is what lasts 30 minutes outside of it or goes below -0.5
(the policy's defaults for the class). Whether and by which reading a series proves one is known from how it
was drawn.
"""

from datetime import datetime, timedelta
from enum import IntEnum

import numpy as np

from models.simulation.records import Scribe, repeated
from schemas.codes import SensorException, UnitOfMeasure
from schemas.envelope import Event
from schemas.telemetry import SensorElement, SensorReport, TelemetrySensor

EVERY = timedelta(minutes=10)
PROVEN_AFTER = 3
"""Readings after the first warm one: the fourth is 30 minutes later."""
USUAL_C, NOISE_C, LEAST_C, MOST_C = 5.0, 0.4, 2.6, 7.4
WARM_C, FROZEN_C, BROKEN_C = (9.0, 14.0), (-4.0, -1.0), 85.0
WARM_READINGS = (4, 24)
"""How many an excursion has: 30 minutes to four hours."""
SHORT_READINGS = (1, 3)
"""How many a look-alike has: 20 minutes at the most."""


class Warming(IntEnum):
    """What happens to the goods, or seems to."""

    NONE = 0
    WARM = 1  # for too long
    FROZEN = 2  # once is too often
    SHORT = 3  # warm, for less than it takes
    ERROR = 4  # the device fails, and says so


def readings(
    scribe: Scribe, generator: np.random.Generator, about: tuple[str, str],
    span: tuple[datetime, datetime], warming: Warming,
) -> tuple[list[Event], str]:  # fmt: skip
    """A reading every ten minutes.

    Args:
        scribe: stamps the records.
        generator: all chances.
        about: order and device.
        span: from hand-over to delivery; readings are taken within it.
        warming: what happens, somewhere in the middle.

    Returns:
        The records, and the id of the one that proves an excursion; empty without.
    """
    order, device = about
    count = max(WARM_READINGS[1] + 4, int((span[1] - span[0]) / EVERY))
    values = np.clip(USUAL_C + NOISE_C * generator.standard_normal(count), LEAST_C, MOST_C)
    first, length = _place(generator, count, warming)
    inside = slice(first, first + length)
    if warming is Warming.FROZEN:
        values[inside] = generator.uniform(*FROZEN_C, length)
    elif warming is Warming.ERROR:
        values[inside] = BROKEN_C
    elif warming is not Warming.NONE:
        values[inside] = generator.uniform(*WARM_C, length)
    said: list[Event] = []
    for n, value in enumerate(np.round(values, 2).tolist()):
        is_failed = warming is Warming.ERROR and first <= n < first + length
        report = SensorReport(
            type="Temperature", value=value, uom=UnitOfMeasure.CELSIUS,
            exception=SensorException.ERROR if is_failed else None,
        )  # fmt: skip
        at = span[0] + (n + 1) * EVERY
        data = SensorElement(device=device, reports=[report])
        sensed = scribe.say(TelemetrySensor, order, at, data, f"{device}-{n}")
        said.append(repeated(sensed, at + timedelta(seconds=1)))
    proven = {Warming.WARM: first + PROVEN_AFTER, Warming.FROZEN: first}.get(warming)
    return said, "" if proven is None else said[proven].id


def _place(generator: np.random.Generator, count: int, warming: Warming) -> tuple[int, int]:
    """First reading that is not usual, and how many are not."""
    least, most = WARM_READINGS if warming is Warming.WARM else SHORT_READINGS
    length = 1 if warming is Warming.FROZEN else int(generator.integers(least, most + 1))
    return int(generator.integers(1, count - length)), length
