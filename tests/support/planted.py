"""A lake in which every cell is a value of its own, so that whatever leaks tells where it is from."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from flows.lake.layout import Identity
from flows.lake.writer import create_or_open_writer
from schemas.ids import LogId
from schemas.tables import SCHEMAS, Effects, Table
from tests.support.effects import to_table

AT = datetime(2026, 1, 6, tzinfo=UTC)
"""All instants: dates are told to everybody, so they are no secrets here."""


@dataclass(frozen=True)
class Place:
    """Where a value was planted."""

    tenant: str
    order: str
    package: str
    table: str
    column: str


@dataclass
class Planted:
    """Rows, and where each of their values is from."""

    places: dict[str, Place] = field(default_factory=dict)
    rows: dict[Table, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, table: Table, tenant: str, order: str, parcel: str, **known: Any) -> None:
        """A row; columns that are not known get a value of their own."""
        mine = self.rows.setdefault(table, [])
        row: dict[str, Any] = {"partition": 0, "position": 0, "index": len(mine), "tenant": tenant}
        row |= {"network": "eu", "order_id": order, "package": parcel} | known
        for column in SCHEMAS[table]:
            if column.name not in row:
                row[column.name] = self._value(
                    Place(tenant, order, parcel, str(table), column.name), column.type
                )
        mine.append(row)

    def _value(self, place: Place, kind: pa.DataType) -> Any:
        number = 7_700_000 + len(self.places)  # exact as a float of 32 bits too
        if pa.types.is_string(kind):
            return self._remember(f"~{place.tenant}~{place.order}~{number}~", place)
        if pa.types.is_list(kind):
            is_text = pa.types.is_string(kind.value_type)
            return [self._remember(f"~list~{number}~", place)] if is_text else [1]
        if pa.types.is_integer(kind):
            return int(self._remember(str(number), place))
        if pa.types.is_floating(kind):
            return float(self._remember(str(number), place))
        if pa.types.is_boolean(kind):
            return True
        return AT.date() if pa.types.is_date(kind) else b"~raw~" if pa.types.is_binary(kind) else AT

    def _remember(self, text: str, place: Place) -> str:
        self.places[text] = place
        return text

    def found_in(self, text: str) -> list[Place]:
        """Where the values that the text holds are from."""
        return [place for value, place in self.places.items() if value in text]


def plant(path: Path) -> tuple[Path, Planted]:
    """Two tenants; of the first, orders of two customers with parcels of two carriers."""
    planted = Planted()
    for tenant, order, customer, tier, parcels in (
        ("t1", "o1", "c1", "vip", (("p1", "K1", "N1"), ("p2", "K2", "N2"))),
        ("t1", "o2", "c1", "standard", (("N1", "K1", "N1"),)),  # not named by its carrier yet
        ("t1", "o3", "c2", "standard", (("p3", "K2", "N2"),)),
        ("t2", "o1", "c1", "vip", (("p1", "K1", "N1"),)),
        ("t2", "o9", "c9", "standard", (("p9", "K1", "N9"),)),
    ):
        _plant_order(planted, tenant, order, customer, tier)
        for parcel in parcels:
            _plant_parcel(planted, tenant, order, *parcel)
    _plant_errors(planted, "o3", "p3", "N2", "K1")
    _plant_errors(planted, "o2", "N1", "N1", "K1")
    with create_or_open_writer(path, Identity(LogId("planted")), [0]) as writer:
        tables = {table: to_table(table, rows) for table, rows in planted.rows.items()}
        writer.put(Effects(0, 0, tables))
    return path, planted


def _plant_errors(planted: Planted, order: str, parcel: str, node: str, carrier: str) -> None:
    """A delivery that was only planned, and one told by mistake; perhaps by another carrier."""
    said = {"customer": None, "tier": None, "carrier": carrier, "node": node, "source": carrier}
    rows = (("ACT", "wrong", None), ("RET", "right", "wrong"), ("PLN", "plan", None))
    for classifier, event_id, retracts in rows:
        planted.add(
            Table.TIMELINE, "t1", order, parcel, step="DELIVERED", phase="IN_TRANSIT",
            package_phase="IN_TRANSIT", classifier=classifier, event_id=event_id, retracts=retracts,
            **said,
        )  # fmt: skip


def _plant_order(planted: Planted, tenant: str, order: str, customer: str, tier: str) -> None:
    who = {"customer": customer, "tier": tier, "carrier": None, "node": None, "device": None}
    told = {"step": "ORDERED", "classifier": None, "phase": "IN_TRANSIT", "retracts": None}
    nothing = {"latitude": None, "longitude": None, "place": None, "package_phase": None}
    planted.add(Table.TIMELINE, tenant, order, "", **{"package": None, **who, **told, **nothing})
    planted.add(Table.DECISIONS, tenant, order, "", kind="ROUTE")
    for table in (
        Table.OUTBOX,
        Table.ACTIONS,
        Table.DEAD_LETTERS,
        Table.STOCK,
        Table.NODES,
        Table.LANES,
    ):
        planted.add(table, tenant, order, "")
    planted.add(Table.EXCEPTIONS, tenant, order, "", package=None, change="raised", code="EXPIRED")


def _plant_parcel(
    planted: Planted, tenant: str, order: str, package: str, carrier: str, node: str
) -> None:
    about = {"carrier": carrier, "node": node, "customer": None, "tier": None, "retracts": None}
    phases = {"phase": "IN_TRANSIT", "package_phase": "IN_TRANSIT", "classifier": "ACT"}
    for step in ("HANDED_OVER", "DEPARTED"):
        planted.add(Table.TIMELINE, tenant, order, package, step=step, **about, **phases)
    planted.add(Table.ALLOCATIONS, tenant, order, package, event="placed", node=node)
    planted.add(
        Table.READINGS, tenant, order, package, type="Temperature", state="IN_BAND", uom="CEL"
    )
    planted.add(Table.LOCATIONS, tenant, order, package)
    planted.add(Table.ESTIMATES, tenant, order, package)
    planted.add(
        Table.EXCEPTIONS, tenant, order, package, change="raised", code="GPS_STALE", node=None
    )
