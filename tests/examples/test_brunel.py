"""Lanes, weights, costs and rules of the Brunel example on hand-made rows."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from examples.brunel.assess import (
    cheapest_possible,
    historical,
    measure,
    over_capacity,
    price,
)
from examples.brunel.build import records
from examples.brunel.demand import arrivals, grams_of, lines_of, moments
from examples.brunel.freight import lanes, variants_of
from examples.brunel.report import as_json, assignment_of, comparison, sides_of
from examples.brunel.tables import Tables
from models.policy.document import parse_policy
from schemas.network import CapacitySet, NodeSet
from schemas.orders import OrderReceived

DAY = date(2013, 5, 27)


def rate(
    low: float, high: float, minimum: float, per_kg: float, carrier: str = "V1"
) -> tuple[str, str, str, float, float, str, float, float, str, int]:
    return (carrier, "PORT04", "PORT09", low, high, "DTD", minimum, per_kg, "AIR", 2)


def rates(*rows: tuple[str, str, str, float, float, str, float, float, str, int]) -> pl.DataFrame:
    names = [
        "carrier",
        "orig_port_cd",
        "dest_port_cd",
        "minm_wgh_qty",
        "max_wgh_qty",
        "svc_cd",
        "minimum_cost",
        "rate",
        "mode_dsc",
        "tpt_day_cnt",
    ]
    return pl.DataFrame(rows, schema=names, orient="row")


def order(
    number: int, *, plant: str = "A", customer: str = "c", service: str = "DTD", kg: float = 10.0
) -> dict[str, object]:
    return {
        "order_id": number,
        "order_date": DAY,
        "origin_port": "PORT04",
        "carrier": "V44_3" if service == "CRF" else "V1",
        "tpt": 2,
        "service_level": service,
        "customer": customer,
        "product_id": 7,
        "plant": plant,
        "destination_port": "PORT09",
        "unit_quantity": 100,
        "weight": kg,
    }


def tables(*orders: dict[str, object]) -> Tables:
    """Plant A: cheap, one order a day. Plant B: dear, for customer v alone."""
    return Tables(
        orders=pl.DataFrame(orders),
        rates=rates(rate(0, 50, 5.0, 0.1), rate(100, 200, 5.0, 0.2), rate(0, 200, 20.0, 0.5, "V2")),
        plants=pl.DataFrame(
            {"plant": ["A", "B"], "daily_capacity": [1, 5], "cost_unit": [0.5, 0.6]}
        ),
        products=pl.DataFrame({"plant": ["A", "B"], "product_id": [7, 7]}),
        ports=pl.DataFrame({"plant": ["A", "B"], "port": ["PORT04", "PORT04"]}),
        vmi=pl.DataFrame({"plant": ["B"], "customer": ["v"]}),
    )


def test_freight_is_weight_times_rate_but_at_least_the_minimum() -> None:
    world = tables(order(1, kg=10.0), order(2, kg=150.0))

    priced = price(world, historical(world))

    assert priced["freight_usd"].to_list() == pytest.approx([5.0, 30.0])
    assert priced["handling_usd"].to_list() == pytest.approx([50.0, 50.0])
    assert not priced["substituted"].any()


def test_a_weight_between_bands_breaks_a_rule_and_is_charged_another_carrier_s_rate() -> None:
    world = tables(order(1, kg=75.0))

    side = measure("x", world, historical(world))

    assert side.broken["weight_band"] == side.substituted == 1
    assert side.freight_usd == pytest.approx(37.5)


def test_customer_referred_freight_costs_nothing_and_breaks_nothing() -> None:
    world = tables(order(1, service="CRF", kg=75.0))

    side = measure("x", world, historical(world))

    assert (side.freight_usd, side.substituted) == (0.0, 0)
    assert sum(side.broken.values()) == 0


def test_each_rule_is_checked_on_its_own() -> None:
    world = tables(order(1), order(2), order(3, plant="B"), order(4), order(5), order(6))
    kept = historical(world)
    wrong = kept.with_columns(
        plant=pl.when(pl.col("order_id") == 1).then(pl.lit("C")).otherwise("plant"),
        service=pl.when(pl.col("order_id") == 4).then(pl.lit("DTP")).otherwise("service"),
        qty=pl.when(pl.col("order_id") == 5).then(99).otherwise("qty"),
    )
    twice = pl.concat([wrong, wrong.filter(pl.col("order_id") == 6)])

    broken = measure("x", world, twice).broken

    assert broken == {
        "product": 1,
        "port": 1,
        "vmi": 1,
        "service": 1,
        "weight_band": 1,
        "one_plant": 1,
        "whole_order": 2,
    }


def test_capacity_is_counted_per_plant_and_day() -> None:
    world = tables(order(1), order(2), order(3, plant="B"))
    spread = historical(world).with_columns(
        ship_date=pl.Series([DAY, date(2013, 5, 28), DAY], dtype=pl.Date)
    )

    assert over_capacity(world, historical(world)).rows() == [("A", DAY, 2, 1, 1)]
    assert over_capacity(world, spread).is_empty()


def test_no_allowed_assignment_is_cheaper_than_the_bound() -> None:
    world = tables(order(1), order(2, plant="B", customer="v"))

    side = measure("x", world, historical(world))

    assert cheapest_possible(world) == pytest.approx(110.0)
    assert side.total_usd == pytest.approx(120.0)


def test_the_bound_leaves_a_restricted_plant_to_its_customers() -> None:
    world = tables(order(1))
    only_b = Tables(
        world.orders,
        world.rates,
        world.plants,
        world.products.filter(pl.col("plant") == "B"),
        world.ports,
        world.vmi,
    )

    assert cheapest_possible(only_b) == 0.0


def test_rates_for_the_same_weight_become_variants_the_cheapest_first() -> None:
    found = variants_of(
        rates(rate(0, 10, 3.0, 0.2), rate(0, 10, 2.0, 0.2), rate(10.01, 20, 4.0, 0.1))
    )

    minima = [[band.minimum_minor for band in variant] for variant in found]
    assert minima == [[200.0, 400.0], [300.0]]


def test_bands_that_touch_are_kept_apart_so_that_no_weight_has_two_rates() -> None:
    found = variants_of(rates(rate(0, 10, 3.0, 0.2), rate(10, 20, 4.0, 0.1)))

    assert [len(variant) for variant in found] == [1, 1]


def test_every_plant_has_a_free_lane_for_freight_that_the_customer_arranges() -> None:
    found = dict(lanes(tables(order(1))))

    free = [lane for lane in found.values() if lane.service == "CRF"]
    assert {lane.node for lane in free} == {"A", "B"}
    assert all(band.per_kg_minor == 0 for lane in free for band in lane.bands)
    assert "A:PORT04:V1:DTD:AIR:2" in found


@pytest.mark.parametrize(("units", "grams"), [(100, 594), (3, 9), (52_742, 30_405), (1, 0), (7, 6)])
def test_lines_have_the_units_and_the_grams_exactly(units: int, grams: int) -> None:
    lines = lines_of("7", units, grams)

    assert sum(line.qty for line in lines) == units
    assert sum(line.qty * line.weight_g for line in lines) == grams
    assert [line.line_no for line in lines] == list(range(1, len(lines) + 1))


def test_rounding_to_grams_never_crosses_a_border_of_a_band() -> None:
    borders = [(0.0, 99.99), (100.0, 249.99)]

    assert grams_of(1.4999, borders) == 1500
    assert grams_of(99.9904, borders) == 99_991
    assert grams_of(249.9902, borders) == 249_991


def test_a_weight_that_no_gram_represents_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1\.0001"):
        grams_of(1.0001, [(1.00005, 1.0005)])


def test_orders_arrive_on_six_days_in_opening_hours() -> None:
    times = list(moments(6_911))

    assert len({at.date() for at in times}) == 6
    assert times == sorted(times)
    assert all(8 <= at.hour < 18 for at in times)


def test_an_order_asks_for_its_service_but_leaves_the_carrier_open() -> None:
    (arrival,) = arrivals(tables(order(1)))

    assert (arrival.order.service, arrival.order.carrier) == ("DTD", "")
    assert arrival.order.no_split


def test_more_units_than_a_line_may_have_are_refused() -> None:
    world = tables(order(1) | {"unit_quantity": 1_000_001})

    with pytest.raises(ValueError, match="1000001 units"):
        list(arrivals(world))


def test_a_restricted_plant_names_its_customers_and_sunday_is_closed() -> None:
    events = list(records(tables(order(1))))

    plants = {e.subject: e.data.customers for e in events if isinstance(e, NodeSet)}
    assert plants == {"A": [], "B": ["v"]}
    sundays = [e.data for e in events if isinstance(e, CapacitySet) and e.data.weekdays == [7]]
    assert [rule.open for rule in sundays] == [False, False]
    assert isinstance(events[-1], OrderReceived)


def test_the_policy_counts_handling_and_freight_alone() -> None:
    path = Path(__file__).parents[2] / "examples" / "brunel" / "policy.yaml"

    weights = parse_policy(path.read_text(encoding="utf-8"), path.name).weights.model_dump()

    assert {name for name, weight in weights.items() if weight} == {"freight", "handling"}


def lake_rows(*rows: tuple[str, str, str, int]) -> pl.DataFrame:
    """(order, lane, event, qty) as allocations of plant A."""
    return pl.DataFrame(
        [(name, "A", lane, event, qty, DAY) for name, lane, event, qty in rows],
        schema=["order_id", "node", "lane_id", "event", "qty", "ship_date"],
        orient="row",
    )


def lake_lanes() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "lane_id": ["l", "l"],
            "node": ["A", "A"],
            "origin_port": ["PORT03", "PORT04"],
            "carrier": ["V1", "V1"],
            "service": ["DTD", "DTD"],
            "transit_hours": [24.0, 48.0],
        }
    )


def test_what_was_placed_and_not_released_is_the_assignment() -> None:
    rows = lake_rows(
        ("1", "l", "placed", 60),
        ("1", "l", "placed", 40),
        ("2", "l", "placed", 100),
        ("2", "l", "released", 100),
        ("1", "l", "consumed", 100),
    )

    found = assignment_of(rows, lake_lanes())

    assert found.rows() == [(1, "A", "PORT04", "V1", "DTD", 2, DAY, 100)]


def test_the_report_puts_both_sides_next_to_each_other() -> None:
    world = tables(order(1), order(2))
    ours = assignment_of(lake_rows(("1", "l", "placed", 100)), lake_lanes())

    sides = sides_of(world, ours)
    bound = cheapest_possible(world)

    assert [side.assigned for side in sides] == [1, 2, 2]
    assert comparison(world, sides, bound).row_count > 10
    assert '"excess": 1' in as_json(world, sides, bound)
