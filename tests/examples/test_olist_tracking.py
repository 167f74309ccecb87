"""Olist's real orders tracked: what comes out can be worked out from the columns.

Licence: CC BY-NC-SA 4.0, not for commerce; so no extract is in this repository.
"""

from datetime import UTC
from pathlib import Path

import polars as pl
import pytest

from flows.lake.query import connect_reader
from flows.logs.parquet import write_log
from flows.ticks import with_ticks
from models.inference import shipped_model_sha256
from schemas.codes import ModelOf
from schemas.control import ModelActivated, ModelActivation
from schemas.envelope import Event
from schemas.topics import LogOf
from tests.support.command_line import run
from tests.support.olist import read_orders, tracking_records

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "olist"
STORY = (
    "order_purchase_timestamp",
    "order_approved_at",
    "order_delivered_carrier_date",
    "order_delivered_customer_date",
)

pytestmark = pytest.mark.skipif(
    not (FOLDER / "orders.parquet").exists(), reason="../shared/data/olist is not at hand"
)


@pytest.fixture(scope="module")
def found() -> pl.DataFrame:
    return read_orders(FOLDER)


@pytest.fixture(scope="module")
def lake(found: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("olist")
    events = [_activated(found), *tracking_records(found)]
    write_log(path / "log", with_ticks(events, "olist", "olist", "brazil"), of=LogOf.TRACKING)
    done = run("replay", path / "log", "--lake", path / "lake")
    assert done.exit_code == 0, done.output
    return path / "lake"


def _activated(found: pl.DataFrame) -> Event:
    """The shipped arrival model, which knows nothing of Olist."""
    return ModelActivated(
        id="model",
        source="olist",
        subject="arrival",
        time=found[STORY[0]][0].replace(tzinfo=UTC),
        tenant="olist",
        network="brazil",
        data=ModelActivation(sha256=shipped_model_sha256(ModelOf.ARRIVAL), of=ModelOf.ARRIVAL),
    )


def counted(lake: Path, query: str) -> int:
    with connect_reader(lake) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def test_every_order_stands_where_its_columns_say(found: pl.DataFrame, lake: Path) -> None:
    there, with_carrier = found[STORY[3]].is_not_null(), found[STORY[2]].is_not_null()

    delivered = "phase IN ('DELIVERED', 'SIGNED', 'CLOSED')"
    assert counted(lake, f"SELECT count(*) FROM order_states WHERE {delivered}") == there.sum()
    on_the_way = counted(lake, "SELECT count(*) FROM order_states WHERE phase = 'HANDED_OVER'")
    assert on_the_way == (with_carrier & ~there).sum()
    assert counted(lake, "SELECT count(*) FROM order_states") == found.height


def test_what_happened_earlier_than_it_was_learnt_is_late_and_moves_nothing_back(
    found: pl.DataFrame, lake: Path
) -> None:
    late = pl.lit(0)
    for n, column in enumerate(STORY[1:], start=1):
        before = pl.max_horizontal(*STORY[:n])
        late = late + (pl.col(column) < before).fill_null(False).cast(pl.Int64)
    expected = found.select(late.sum()).item()

    assert counted(lake, "SELECT count(*) FROM timeline WHERE is_late") == expected > 0
    assert (found[STORY[2]] < found[STORY[1]]).sum() == 169
    handed_over_late = "step = 'HANDED_OVER' AND is_late AND phase = 'HANDED_OVER'"
    latest = found.select(pl.max_horizontal(*STORY[:2])).to_series()
    early = (found[STORY[2]] < latest).sum()
    assert counted(lake, f"SELECT count(*) FROM timeline WHERE {handed_over_late}") == early


def test_orders_are_on_time_by_the_date_that_was_promised(found: pl.DataFrame, lake: Path) -> None:
    day, promised = pl.col(STORY[3]).dt.date(), pl.col("order_estimated_delivery_date").dt.date()
    late = found.filter(day > promised).height

    is_late = counted(lake, "SELECT count(*) FROM order_states WHERE NOT is_on_time")
    assert is_late == late
    raised = "code = 'DELAY_BREACHED' AND change = 'raised'"
    delays = counted(lake, f"SELECT count(*) FROM exceptions WHERE {raised}")
    open_ = counted(lake, "SELECT count(*) FROM exceptions_open WHERE code = 'DELAY_BREACHED'")
    assert delays - open_ == late


def test_most_breaches_are_predicted_before_they_happen(lake: Path) -> None:
    """By the shipped model, and what became of the promises of this network until then."""
    query = """
        WITH first AS (
            SELECT order_id, code, min("position") AS "position" FROM exceptions
            WHERE change = 'raised' GROUP BY order_id, code
        )
        SELECT
            count(*) FILTER (code = 'DELAY_PREDICTED'),
            count(*) FILTER (code = 'DELAY_BREACHED'),
            (
                SELECT count(*) FROM first AS predicted JOIN first AS breached USING (order_id)
                WHERE predicted.code = 'DELAY_PREDICTED' AND breached.code = 'DELAY_BREACHED'
                AND predicted."position" < breached."position"
            )
        FROM first
    """
    with connect_reader(lake) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    predicted, breached, in_time = row
    print(f"\n{predicted} delays predicted, {breached} breaches, {in_time} of them foretold")
    assert in_time / breached > 0.5
    assert in_time / predicted > 0.5


def test_estimates_do_not_flap_and_hold_as_often_as_they_say(lake: Path) -> None:
    told = counted(lake, "SELECT count(*) FROM estimates")
    orders = counted(lake, "SELECT count(DISTINCT order_id) FROM estimates")
    query = """
        WITH
        told AS (
            SELECT order_id, first(p50_at ORDER BY "position") AS p50_at,
                first(p90_at ORDER BY "position") AS p90_at
            FROM estimates WHERE step = 'HANDED_OVER' GROUP BY order_id
        )
        SELECT avg((delivered_at <= p50_at)::INT), avg((delivered_at <= p90_at)::INT)
        FROM told JOIN order_states USING (order_id) WHERE delivered_at IS NOT NULL
    """
    with connect_reader(lake) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    print(f"\n{told / orders:.1f} estimates an order; {row[0]:.0%} and {row[1]:.0%} arrive by them")
    assert told / orders < 12
    assert 0.4 < row[0] < 0.6
    assert 0.8 < row[1] < 0.95
