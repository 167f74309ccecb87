"""The report reads a real lake."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from examples.brunel.report import assignment_of, read_lake
from flows.lake.layout import Identity
from flows.lake.writer import create_or_open_writer
from schemas.ids import LogId
from schemas.tables import SCHEMAS, Effects, Table

MONDAY = date(2013, 5, 27)
NINE = datetime(2013, 5, 27, 9, tzinfo=UTC)


def row(table: Table, **values: Any) -> pa.Table:
    """One row of a table; columns that are not named are null."""
    cause = {"partition": 0, "tenant": "t", "network": "n"}
    return pa.Table.from_pylist([cause | values], schema=SCHEMAS[table])


def test_the_assignment_is_read_from_a_lake(tmp_path: Path) -> None:
    lane = row(
        Table.LANES,
        position=0,
        index=0,
        lane_id="A:PORT04:V1:DTD:AIR:2",
        node="A",
        region="PORT09",
        carrier="V1",
        service="DTD",
        mode="air",
        origin_port="PORT04",
        transit_hours=48.0,
        open=True,
        at=NINE,
    )
    placed = row(
        Table.ALLOCATIONS,
        position=1,
        index=0,
        order_id="1",
        line_no=1,
        sku="7",
        node="A",
        lane_id="A:PORT04:V1:DTD:AIR:2",
        event="placed",
        qty=100,
        ship_date=MONDAY,
    )
    with create_or_open_writer(tmp_path / "lake", Identity(LogId("test")), [0]) as writer:
        writer.put(Effects(0, 1, {Table.LANES: lane, Table.ALLOCATIONS: placed}))

    found = assignment_of(*read_lake(tmp_path / "lake"))

    assert found.rows() == [(1, "A", "PORT04", "V1", "DTD", 2, MONDAY, 100)]
