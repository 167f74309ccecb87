"""The views of key figures follow their definitions."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.lake.query import connect_reader
from tests.flows.test_lake_query import lake_of
from tests.support.effects import START, allocation, decision, order_id

TOLD = START + timedelta(hours=48)


def told(position: int, of: int | None = None, **changes: Any) -> dict[str, Any]:
    """A decision about the order of a position, with the date that was told at first."""
    order = order_id(position if of is None else of)
    dates = {"original_commit_at": TOLD, "latest_commit_at": TOLD, "attempts": 0}
    return decision(0, position, **{"order_id": order, "nodes": ["DC-1"], **dates, **changes})


def figures(lake: Path, view: str, order: str = "ALL") -> list[dict[str, Any]]:
    with connect_reader(lake) as connection:
        found = connection.execute(f"SELECT * FROM {view} ORDER BY {order}").pl()
    return found.to_dicts()


def test_order_kpis_follow_their_definitions(tmp_path: Path) -> None:
    later = {"latest_commit_at": TOLD + timedelta(hours=5), "requested_by": TOLD}
    decisions = [
        told(0, requested_by=TOLD),
        told(1, nodes=["DC-1", "DC-2"]),
        told(2, of=1, kind="REROUTE", trigger="R_REJECTED", nodes=["DC-2"], attempts=1, **later),
        told(3, outcome="HELD_FOR_REVIEW", nodes=[], hold_reason="REPEATED_REJECTION"),
        told(4, outcome="CANCELLED", nodes=[], selection="S_HUMAN"),
        told(5, of=0, kind="REROUTE", trigger="R_CUSTOMER_CHANGE"),
    ]
    moves = [
        allocation(0, 0, 0, node="DC-1", qty=4),
        allocation(0, 2, 0, order_id=order_id(1), node="DC-2", qty=3),
        allocation(0, 5, 0, order_id=order_id(0), node="DC-1", qty=4, event="consumed"),
    ]
    lake = lake_of(tmp_path, 5, decisions=decisions, allocations=moves)

    (row,) = figures(lake, "order_kpis")

    assert row["orders"] == 4
    assert row["fill_rate"] == pytest.approx(7 / 12)
    assert (row["first_assignment_kept_rate"], row["reroute_rate"]) == (0.5, 0.25)
    assert row["attempts_per_order"] == 0.25
    assert (row["split_rate"], row["packages_per_order"]) == (0.0, 1.0)
    assert row["original_commitment_kept_rate"] == pytest.approx(2 / 3)
    assert row["requested_date_kept_rate"] == 0.0  # the customer's change asked for none
    assert row["auto_decision_rate"] == pytest.approx(5 / 6)
    assert row["held_for_review"] == 1
    assert (row["unserved_units"], row["units_in_doubt"], row["backlog_units"]) == (5, 0, 3)
    assert row["promise_hours_mean"] == pytest.approx(48, abs=0.01)


def test_fairness_is_one_where_channels_are_served_alike_and_less_where_not(tmp_path: Path) -> None:
    decisions = [told(i, channel=channel) for i, channel in enumerate(("web", "app", "app"))]
    moves = [allocation(0, 0, 0, qty=4), allocation(0, 1, 0, qty=4)]
    lake = lake_of(tmp_path, 2, decisions=decisions, allocations=moves)

    app, web = figures(lake, "channel_fairness", "channel")

    assert (web["fill_rate"], app["fill_rate"], app["orders"]) == (1.0, 0.5, 2)
    assert app["fairness_index"] == web["fairness_index"] == pytest.approx(1.5**2 / (2 * 1.25))


def test_a_unit_waits_from_its_decision_to_the_day_before_it_ships(tmp_path: Path) -> None:
    moves = [
        allocation(0, 0, 0, node="DC-1", qty=2, ship_date=date(2026, 3, 3)),
        allocation(0, 1, 0, node="DC-1", qty=5, ship_date=date(2026, 3, 1)),
        allocation(0, 2, 0, node="DC-1", qty=7, ship_date=date(2026, 3, 4)),
        allocation(
            0, 2, 1, node="DC-1", qty=7, ship_date=date(2026, 3, 4), event="released", line_no=0
        ),
    ]
    lake = lake_of(tmp_path, 2, decisions=[told(0), told(1), told(2)], allocations=moves)

    found = figures(lake, "node_backlog", "day")

    assert [(r["day"].day, r["waiting_units"], r["shipping_units"]) for r in found] == [
        (1, 2, 0),
        (2, 2, 2),
    ]
