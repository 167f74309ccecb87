"""Classification, times, places and the stock rule of the Online Retail example, piece by piece."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from examples.retail.places import capacity_events, great_circle_km, lane_events, node_events
from examples.retail.planner import plan_stock, reviews_of, split
from examples.retail.source import LineClass, in_utc, odd_times, read_lines
from examples.retail.world import World, read_world
from examples.stamps import Origin
from models.policy.document import parse_policy

HERE = Path(__file__).parents[2] / "examples" / "online-retail"
ORIGIN = Origin("test", "t", "n")
START = datetime(2010, 12, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def world() -> World:
    return read_world(HERE / "network.yaml")


def naive(text: str) -> datetime:
    """A local time as the source has it: without a zone."""
    return datetime.fromisoformat(text)


def source(*rows: tuple[str, str, int, float]) -> pl.DataFrame:
    """(invoice, code, quantity, price) with the columns of the real file."""
    return pl.DataFrame(
        [
            (invoice, code, "x", qty, naive("2011-03-07T09:00"), price, 12345, "France")
            for invoice, code, qty, price in rows
        ],
        schema={
            "invoice_no": pl.String,
            "stock_code": pl.String,
            "description": pl.String,
            "quantity": pl.Int32,
            "invoice_ts": pl.Datetime("ms"),
            "unit_price": pl.Float64,
            "customer_id": pl.Int32,
            "country": pl.String,
        },
        orient="row",
    )


def test_every_kind_of_line_gets_its_class(tmp_path: Path, world: World) -> None:
    rows = [
        ("1", "85099b", 3, 2.08),
        ("1", "POST", 1, 18.0),
        ("1", "gift_0001_20", 1, 16.67),
        ("2", "22423", 10, 0.0),
        ("3", "22423", -10, 0.0),
        ("C4", "22423", -2, 12.75),
        ("C5", "M", -1, 100.0),
    ]
    source(*rows).write_parquet(tmp_path / "order_lines.parquet")

    lines = read_lines(tmp_path, world)

    assert lines["line_class"].to_list() == [
        LineClass.ORDER_LINE,
        LineClass.NON_GOODS,
        LineClass.NON_GOODS,
        LineClass.NO_PRICE,
        LineClass.STOCK_CORRECTION,
        LineClass.CANCELLATION,
        LineClass.NON_GOODS,
    ]
    assert lines["sku"][0] == "85099B"
    assert lines["pence"].to_list()[:2] == [208, 1800]


def test_summer_time_is_an_hour_ahead_of_utc() -> None:
    local = pl.Series([naive("2011-03-07T09:00"), naive("2011-07-07T09:00")])

    assert [at.hour for at in in_utc(local, "Europe/London")] == [9, 8]


def test_ambiguous_times_take_the_first_and_missing_ones_land_an_hour_later() -> None:
    local = pl.Series([naive("2011-10-30T01:30"), naive("2011-03-27T01:30")])

    assert odd_times(local, "Europe/London") == (1, 1)
    assert in_utc(local, "Europe/London").to_list() == [
        datetime(2011, 10, 30, 0, 30, tzinfo=UTC),
        datetime(2011, 3, 27, 1, 30, tzinfo=UTC),
    ]


def test_the_great_circle_from_london_to_paris_is_some_340_km(world: World) -> None:
    london = next(n for n in world.nodes if n.node == "GB-LONDON")
    paris = next(r for r in world.regions if r.region == "FR")

    assert great_circle_km(london, paris) == pytest.approx(345, abs=5)


def test_lanes_follow_reach_mode_and_distance(world: World) -> None:
    lanes = {e.subject: e.data for e in lane_events(world, ORIGIN, START)}

    assert "GB-LONDON:FR:roadlink:road" not in lanes
    assert "NL-VENLO:AU:roadlink:road" not in lanes
    sea = lanes["NL-VENLO:AU:bluewater:sea"]
    assert sea.bands[0].from_kg == 100
    assert sea.distance_km > 20_000
    assert len(lanes) == len(list(lane_events(world, ORIGIN, START)))


def test_bands_of_a_lane_join_without_gap(world: World) -> None:
    for event in lane_events(world, ORIGIN, START):
        bands = event.data.bands
        assert [b.to_kg for b in bands[:-1]] == [b.from_kg for b in bands[1:]]


def test_a_node_changes_its_clock_with_the_season(world: World) -> None:
    last = datetime(2011, 10, 7, tzinfo=UTC)

    venlo = [e for e in node_events(world, ORIGIN, START, last) if e.subject == "NL-VENLO"]

    assert [(e.time, e.data.utc_offset_minutes) for e in venlo] == [
        (START, 60),
        (datetime(2011, 3, 27, 1, tzinfo=UTC), 120),
    ]


def test_all_rules_of_a_node_count_in_the_same_measure(world: World) -> None:
    measures: dict[str, set[str]] = {}
    for event in capacity_events(world, ORIGIN, START):
        measures.setdefault(event.subject, set()).add(event.data.measure.value)

    assert all(len(found) == 1 for found in measures.values())


def test_stock_shares_add_up_to_one(world: World) -> None:
    assert sum(node.stock_share for node in world.nodes) == pytest.approx(1)


def test_splitting_units_over_nodes_loses_none(world: World) -> None:
    units = np.array([0, 6, 600, 12_345], np.int64)

    parts = split(units, world.nodes, world.stock.pack_units)

    assert (parts.sum(axis=0) == units).all()
    assert (parts >= 0).all()


def test_policy_and_example_agree_on_when_goods_have_left(world: World) -> None:
    policy = parse_policy((HERE / world.policy).read_text(encoding="utf-8"), world.policy)

    assert policy.windows.assume_handed_over_after_hours == world.cancellable_hours
    assert policy.currency == world.currency


def sales(*rows: tuple[str, datetime, int]) -> pl.DataFrame:
    schema: dict[str, pl.DataType] = {
        "sku": pl.String(),
        "at": pl.Datetime("us", "UTC"),
        "quantity": pl.Int64(),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_a_new_sku_is_announced_in_time_for_its_first_sale(world: World) -> None:
    late = datetime(2011, 2, 9, 12, tzinfo=UTC)
    sold = sales(("early", datetime(2010, 12, 2, tzinfo=UTC), 5), ("late", late, 5))
    reviews = reviews_of(world.stock, world.timezone, START, datetime(2011, 3, 1, tzinfo=UTC))

    plan = plan_stock(sold, sold.clear(), world.stock, reviews)

    assert plan.skus == ["early", "late"]
    assert plan.initial[0] > 0
    assert plan.initial[1] == 0
    (week,) = np.flatnonzero(plan.ordered[:, 1])
    assert reviews[week].arrives_at <= late < reviews[week + 1].arrives_at


def test_what_is_sold_is_reordered_and_what_comes_back_is_not(world: World) -> None:
    rule = msgspec.structs.replace(world.stock, least_units=0, pack_units=1)
    first = datetime(2010, 12, 2, tzinfo=UTC)
    reviews = reviews_of(rule, world.timezone, START, datetime(2011, 5, 1, tzinfo=UTC))
    sold = sales(("a", first, 40), ("a", datetime(2011, 1, 17, tzinfo=UTC), 500))
    back = sales(("a", datetime(2011, 1, 17, 1, tzinfo=UTC), 500))

    ordered = plan_stock(sold, sold.clear(), rule, reviews).ordered[:, 0]
    cancelled = plan_stock(sold, back, rule, reviews).ordered[:, 0]

    assert ordered.sum() - cancelled.sum() == 500


def test_reviews_see_only_goods_that_arrive_before_the_end(world: World) -> None:
    last = datetime(2011, 1, 3, 6, tzinfo=UTC)

    reviews = reviews_of(world.stock, world.timezone, START, last)

    assert reviews[0].held_at == datetime(2010, 12, 1, 17, tzinfo=UTC)
    assert reviews[-1].arrives_at == last
