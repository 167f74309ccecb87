"""Real shipments of medicines (SCMS) tracked: late lines, and what was learnt late, follow from the columns.

Licence: public domain. An extract is in this repository; all lines are read where ../shared/data is at hand.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.lake.query import connect_reader
from flows.logs.parquet import write_log
from flows.ticks import with_ticks
from schemas import decisions, orders, shipments
from schemas.codes import Milestone
from schemas.envelope import Event
from schemas.topics import LogOf
from tests.support.command_line import run
from tests.support.shared_data import DATA, extract_and_all

EXTRACT = Path(__file__).parent / "scms" / "lines.parquet"
ALL = DATA / "scms_shipments" / "shipment_lines.parquet"
QUOTED, BOUGHT = pl.col("pq_first_sent_to_client_date"), pl.col("po_sent_to_vendor_date")
SCHEDULED, DELIVERED = pl.col("scheduled_delivery_date"), pl.col("delivered_to_client_date")
RECORDED = pl.col("delivery_recorded_date")
FILES = extract_and_all(EXTRACT, ALL)


@pytest.fixture(scope="module", params=FILES, ids=["extract", "all"])
def found(request: pytest.FixtureRequest) -> pl.DataFrame:
    """The lines, with the days on which the date was promised and on which the delivery was learnt.

    Lines from stock have no date of a purchase: the promise is as old as the offer, or else as the delivery.
    """
    promised = pl.coalesce(BOUGHT, QUOTED, pl.min_horizontal(SCHEDULED, DELIVERED))
    learnt = pl.max_horizontal(RECORDED, DELIVERED, QUOTED, promised)
    return pl.read_parquet(request.param).with_columns(
        promised=promised, learnt=learnt, known=pl.max_horizontal(QUOTED, promised)
    )


@pytest.fixture(scope="module")
def lake(found: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scms")
    told = (event for row in found.iter_rows(named=True) for event in _of_line(row))
    records = sorted(told, key=lambda event: event.recordedtime or event.time)
    write_log(path / "log", with_ticks(records, "scms", "usaid", "scms"), of=LogOf.TRACKING)
    done = run("replay", path / "log", "--lake", path / "lake")
    assert done.exit_code == 0, done.output
    return path / "lake"


def _of_line(row: dict[str, Any]) -> Iterator[Event]:
    """What is said of a line: it is offered, promised, and arrives by noon."""
    line = orders.OrderLine(line_no=1, sku="goods", qty=1)
    offered = orders.Order(region=row["country"], lines=[line])
    due = _instant(row["scheduled_delivery_date"], hours=24)
    routed = decisions.Decision(
        outcome="FULLY_ROUTED", latest_commit_at=due, original_commit_at=due
    )
    arrived = shipments.ShipmentStep(milestone=Milestone.DELIVERED)
    if row["pq_first_sent_to_client_date"] is not None:
        at = _instant(row["pq_first_sent_to_client_date"])
        yield _event(orders.OrderReceived, row, at, at, offered)
    known = _instant(row["known"])
    yield _event(decisions.DecisionRouted, row, _instant(row["promised"]), known, routed)
    delivered = _instant(row["delivered_to_client_date"], hours=12)
    learnt = _instant(row["learnt"], hours=12)
    yield _event(shipments.ShipmentMilestone, row, delivered, learnt, arrived)


def _event(
    cls: type[Event], row: dict[str, Any], at: datetime, known: datetime, data: Any
) -> Event:
    return cls(  # type: ignore[call-arg]
        id=f"{cls.__name__}-{row['id']}", source="scms", subject=str(row["id"]), time=at,
        recordedtime=known, tenant="usaid", network="scms", data=data,
    )  # fmt: skip


def _instant(day: date, hours: int = 0) -> datetime:
    return datetime.combine(day, time(), UTC) + timedelta(hours=hours)


def counted(lake: Path, query: str) -> int:
    with connect_reader(lake) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def lines(found: pl.DataFrame, condition: pl.Expr) -> int:
    """How many of the lines are so."""
    return found.filter(condition).height


def test_lines_are_late_by_their_scheduled_day(found: pl.DataFrame, lake: Path) -> None:
    late = counted(lake, "SELECT count(*) FROM order_states WHERE NOT is_on_time")

    assert late == lines(found, DELIVERED > SCHEDULED) > 0
    assert counted(lake, "SELECT count(*) FROM order_states WHERE delivered_at IS NOT NULL") == (
        found.height
    )
    if found.height > 7_000:
        assert (late, found.height) == (821, 7_735)  # 10.6 %


def test_a_delivery_that_is_learnt_too_late_is_a_breach_that_is_resolved(
    found: pl.DataFrame, lake: Path
) -> None:
    breach = "SELECT count(*) FROM exceptions WHERE code = 'DELAY_BREACHED' AND change"
    raised = lines(found, pl.col("learnt") > SCHEDULED)

    assert counted(lake, f"{breach} = 'raised'") == raised
    assert counted(lake, f"{breach} = 'resolved'") == raised
    in_time = "SELECT order_id FROM order_states WHERE is_on_time"
    in_vain = counted(lake, f"{breach} = 'raised' AND order_id IN ({in_time})")
    assert in_vain == lines(found, (pl.col("learnt") > SCHEDULED) & (DELIVERED <= SCHEDULED)) > 0


def test_what_happened_before_what_was_known_is_late(found: pl.DataFrame, lake: Path) -> None:
    bought_before_quoted = lines(found, pl.col("promised") < QUOTED)
    delivered_before = lines(found, pl.col("known") > DELIVERED)

    assert bought_before_quoted > 0
    assert delivered_before > 0
    late = "SELECT count(*) FROM timeline WHERE is_late AND step"
    assert counted(lake, f"{late} = 'ROUTED'") == bought_before_quoted
    assert counted(lake, f"{late} = 'DELIVERED'") == delivered_before
    gone_back = "step = 'DELIVERED' AND phase NOT IN ('DELIVERED', 'SIGNED', 'CLOSED')"
    assert counted(lake, f"SELECT count(*) FROM timeline WHERE {gone_back}") == 0
