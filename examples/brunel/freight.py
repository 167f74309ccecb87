"""The rate table as lanes: one per plant, its port, carrier, service, mode and transport days.

Where the table gives several rates for the same weight, the lane has variants: band by band, the
cheapest rate goes to the first variant that it does not overlap in. Gaps between bands stay gaps.
For CRF (the customer arranges and pays the freight) there is no rate; each plant gets a free lane
from each of its ports, with the one carrier that the data names for it. Its transport days are not
known: 0.
"""

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from examples.brunel.tables import Tables
from schemas.codes import Mode
from schemas.network import Lane, TariffBand

CRF = "CRF"
CRF_CARRIER = "V44_3"
MODES = {"AIR": Mode.AIR, "GROUND": Mode.ROAD}
CENTS = 100
HOURS_PER_DAY = 24
_GROUP = ("orig_port_cd", "carrier", "svc_cd", "mode_dsc", "tpt_day_cnt", "dest_port_cd")
_BAND = ("minm_wgh_qty", "max_wgh_qty", "minimum_cost", "rate")


class Way(NamedTuple):
    """What tells lanes of one port apart."""

    port: str
    carrier: str
    service: str
    mode: str
    days: int
    region: str


def lanes(tables: Tables) -> Iterator[tuple[str, Lane]]:
    """(lane id, lane) by plant, port, carrier, service, mode, days and variant."""
    ways = _ways(tables.rates)
    regions = tables.orders["destination_port"].unique().sort().to_list()
    for plant, port in tables.ports.select("plant", "port").iter_rows():
        for way, variants in ways:
            if way.port == port:
                yield from _rated(plant, way, variants)
        for region in regions:
            free = Way(port, CRF_CARRIER, CRF, "GROUND", 0, region)
            yield f"{plant}:{port}:{CRF_CARRIER}:{CRF}", _lane(plant, free, [TariffBand()])


def _rated(plant: str, way: Way, variants: list[list[TariffBand]]) -> Iterator[tuple[str, Lane]]:
    name = f"{plant}:{way.port}:{way.carrier}:{way.service}:{way.mode}:{way.days}"
    for number, bands in enumerate(variants, start=1):
        yield name if number == 1 else f"{name}:{number}", _lane(plant, way, bands)


def _lane(plant: str, way: Way, bands: list[TariffBand]) -> Lane:
    return Lane(
        node=plant,
        region=way.region,
        carrier=way.carrier,
        service=way.service,
        mode=MODES[way.mode],
        origin_port=way.port,
        transit_hours=float(way.days * HOURS_PER_DAY),
        bands=bands,
    )


def _ways(rates: pl.DataFrame) -> list[tuple[Way, list[list[TariffBand]]]]:
    groups = rates.sort(*_GROUP, *_BAND).group_by(_GROUP, maintain_order=True)
    return [(Way(*key), variants_of(group)) for key, group in groups]


def variants_of(rates: pl.DataFrame) -> list[list[TariffBand]]:
    """The bands of one way, spread over as few lists as leave no two of a list in touch."""
    variants: list[list[TariffBand]] = []
    for from_kg, to_kg, minimum, rate in rates.sort(*_BAND).select(_BAND).iter_rows():
        band = TariffBand(
            from_kg=from_kg,
            to_kg=to_kg,
            per_kg_minor=round(rate * CENTS, 9),
            minimum_minor=round(minimum * CENTS, 9),
        )
        free = next((v for v in variants if v[-1].to_kg < from_kg), None)
        if free is None:
            variants.append([band])
        else:
            free.append(band)
    return variants
