"""Sections of a policy on what is watched after a decision: deadlines, cold chain, the road."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from models.policy.section import Hours, Minutes, Section
from schemas.codes import TempClass

Celsius = Annotated[float, Field(ge=-273.15, le=1000, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


class Tracking(Section):
    """What is waited for after a decision, and how long. Exceptions follow from it, and the end of an order."""

    route_within_hours: Hours = 24  # of the order; then somebody is to look why nobody ships it
    pick_before_hours: Hours = 4  # the end of the day on which a node is to ship
    pack_before_hours: Hours = 2
    hand_over_grace_hours: Hours = 6  # after the end of that day
    customs_within_hours: Hours = 48
    silence_hours: Hours = 72  # without a word from the carrier, where its lane is not known yet
    silence_gaps: Annotated[float, Field(gt=0, le=100)] = 3  # else so many times the gap between
    # two scans of a lane that nine of ten keep to; a median forgets the nights
    silence_least_hours: Hours = 24
    silence_most_hours: Hours = 24 * 10
    expired_hours: Hours = 24 * 30  # without one, after which nobody waits any more
    sign_within_hours: Hours = 72  # of the delivery; then it counts as signed for
    install_within_hours: Hours = 24 * 14
    accept_within_hours: Hours = 24 * 7
    feedback_within_hours: Hours = 24 * 14  # then the order is closed without an answer
    retention_hours: Hours = 24 * 30  # of closed orders in the state; the lake keeps everything


class Estimates(Section):
    """When an arrival is estimated, and when what came out of it is told.

    A change is told once it is greater than ``change_hours`` and ``change_share`` of the time that is left,
    and has lasted; at once if it is twice that, or if what was told has passed.
    """

    every_hours: Annotated[float, Field(gt=0, le=24 * 366)] = (
        4  # or a sixteenth of the time that is left, if that is longer
    )
    change_hours: Hours = 4
    change_share: Annotated[float, Field(ge=0, le=1)] = 0.3
    confirm_hours: Hours = 2  # for so long a change has to last
    delay_margin_hours: Hours = 2  # beyond the date told: a delay is predicted
    delay_withdrawn_hours: Hours = 6  # before it: not any more
    delay_chance: Annotated[float, Field(ge=0, le=1)] = (
        0.8  # by the lane's history, or it is not yet
    )
    delay_withdrawn_chance: Annotated[float, Field(ge=0, le=1)] = 0.5  # below: not any more
    out_hours: Hours = 12  # out for delivery so long, a parcel is taken to be at hand


class Band(Section):
    """Temperatures that goods of a class may have; null: no bound.

    A stretch outside of ``low_c`` to ``high_c`` is an excursion once it lasts ``minor_minutes``; a major
    one once it lasts ``major_minutes``, or at once beyond ``least_c`` and ``most_c``.
    """

    low_c: Celsius | None = None
    high_c: Celsius | None = None
    least_c: Celsius | None = None
    most_c: Celsius | None = None
    minor_minutes: Minutes = 30
    major_minutes: Minutes = 120

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        bounds = (self.least_c, self.low_c, self.high_c, self.most_c)
        known = [bound for bound in bounds if bound is not None]
        if known != sorted(known):
            raise ValueError("least_c, low_c, high_c and most_c must not decrease")
        if self.major_minutes < self.minor_minutes:
            raise ValueError("major_minutes must not be less than minor_minutes")
        return self


class RoomTemperature(Band):
    """Controlled room temperature, with the excursions that it may have (USP <659>)."""

    low_c: Celsius | None = 20
    high_c: Celsius | None = 25
    least_c: Celsius | None = 15
    most_c: Celsius | None = 30


class Cool(Band):
    """Between refrigerator and room."""

    low_c: Celsius | None = 8
    high_c: Celsius | None = 15
    least_c: Celsius | None = 2
    most_c: Celsius | None = 25


class Refrigerated(Band):
    """Medicines and vaccines; what freezes is lost at once."""

    low_c: Celsius | None = 2
    high_c: Celsius | None = 8
    least_c: Celsius | None = -0.5
    most_c: Celsius | None = 15


class Frozen(Band):
    """Deep-frozen goods."""

    high_c: Celsius | None = -18
    most_c: Celsius | None = -10


class ColdChain(Section):
    """What sensors may report, by temperature class, and when they must.

    ``unclassed`` times what a device's own limits say of goods without a class.
    """

    unclassed: Band = Band()
    ambient: Band = Band()
    crt: RoomTemperature = RoomTemperature()
    cool: Cool = Cool()
    refrigerated: Refrigerated = Refrigerated()
    frozen: Frozen = Frozen()
    joined_within_minutes: Minutes = (
        15  # readings outside, so close together, are one stretch; further
    )
    # apart they are if no good one lies between and the sensor was not silent
    gap_minutes: Minutes = (
        60  # without a reading, and a quarter more, a sensor is silent; if it reports
    )
    # more rarely than that: twice what it took before
    humidity_high_pct: Annotated[float, Field(ge=0, le=100)] = 75
    humidity_minutes: Minutes = 60
    shock_g: Positive = 6  # a drop of some decimetres; handling stays below
    light_lux: Positive = 50  # inside a closed parcel it is dark

    def band(self, temp_class: TempClass) -> Band:
        """Of a temperature class."""
        found = getattr(self, temp_class.value)
        assert isinstance(found, Band)
        return found


class Road(Section):
    """What positions may show."""

    stale_minutes: Minutes = 60  # without a position; as ``gap_minutes`` without a reading
    corridor_km: Positive = 10  # beside the straight way between two planned places
    corridor_share: Annotated[float, Field(ge=0, le=10)] = (
        0.15  # of that way's length, if that is more
    )
    off_route_minutes: Minutes = 30  # outside of it
    dwell_hours: Hours = 12  # at one planned place
    left_after_minutes: Minutes = 10  # without a position in a place, but with one elsewhere
    stay_minutes: Minutes = (
        60  # positions in a place, so close together, are one stay; further apart
    )
    # they are if none elsewhere lies between
