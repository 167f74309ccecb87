"""The declared part of the example: the shape of ``network.yaml`` and its units.

Everything that the data set does not say (places, costs, carriers, stock rule, weights) stands in
that one file. Money is in pence, distance in kilometres, coordinates in degrees.
"""

from datetime import date, time
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta
from ruamel.yaml import YAML

from schemas.codes import CapacityMeasure, LocationType, Mode, SignalKind

Share = Annotated[float, Meta(ge=0, le=1)]


class Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping of the file; a key that is not declared here is a mistake."""


class NodeSpec(Declared, frozen=True):
    """One fulfilment node; ``serves`` empty means every region."""

    node: str
    location_type: LocationType
    latitude: float
    longitude: float
    timezone: str
    holidays: str
    capacity: int
    measure: CapacityMeasure
    open_weekdays: list[int]
    cut_off_minute: int
    handling_per_unit_minor: float
    handling_per_package_minor: float
    stock_share: Share
    serves: list[str] = []
    safety_stock: int = 0


class RegionSpec(Declared, frozen=True):
    """A destination: the country as the data names it, and a point that stands for it."""

    country: str
    region: str
    latitude: float
    longitude: float
    modes: list[Mode]


class BandSpec(Declared, frozen=True):
    """A weight band; it begins where the one before it ends."""

    to_kg: float
    base_minor: float
    per_kg_minor: float


class TariffSpec(Declared, frozen=True):
    """Weight bands of the lanes up to a distance."""

    to_km: float
    bands: list[BandSpec]


class CarrierSpec(Declared, frozen=True):
    """One carrier with one service and mode; lanes shorter than ``from_km`` do not exist."""

    carrier: str
    service: str
    mode: Mode
    detour_factor: float
    base_hours: float
    km_per_hour: float
    tariffs: list[TariffSpec]
    from_km: float = 0.0
    from_kg: float = 0.0


class SignalSpec(Declared, frozen=True):
    """Something that happened outside, with the days (inclusive) on which it did."""

    kind: SignalKind
    regions: list[str]
    severity: Share
    first_date: date
    last_date: date
    fact: str


class StockRule(Declared, frozen=True):
    """How much the planner orders, when, and when it arrives; see README, "Stock"."""

    review_weekday: int
    review_time: time
    arrival_time: time
    lead_days: int
    trailing_weeks: int
    reorder_below_weeks: float
    order_up_to_weeks: float
    launch_weeks: int
    launch_cover_weeks: float
    line_cap_units: int
    least_units: int
    pack_units: int


class WeightRule(Declared, frozen=True):
    """Unit weight from the SKU's median price: clamp(price x rate, least, most)."""

    g_per_gbp: int
    least_g: int
    most_g: int


class World(Declared, frozen=True):
    """The whole file."""

    tenant: str
    network: str
    source: str
    log_name: str
    timezone: str
    currency: str
    policy: str
    model: str
    returns_to: str
    cancellable_hours: int
    unknown_region: str
    non_goods: list[str]
    non_goods_prefixes: list[str]
    weight: WeightRule
    stock: StockRule
    nodes: list[NodeSpec]
    regions: list[RegionSpec]
    carriers: list[CarrierSpec]
    holidays: dict[str, list[date]]
    signals: list[SignalSpec]


def read_world(path: Path) -> World:
    """The declarations in a YAML file; what is wrong in it is named by its path."""
    tree = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    return msgspec.convert(tree, World)
