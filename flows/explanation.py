"""The form of an explanation: one decision of one order, as columns of the lake tell it.

Money is in minor units, weighted by the policy; names are those of ``schemas/tables.py``.
"""

from datetime import date, datetime

import msgspec


class Line(msgspec.Struct, frozen=True):
    """Units of an order line given to a node; ``planned``: out of supply still to come."""

    line_no: int
    sku: str
    qty: int
    event: str
    ship_date: date | None


class Package(msgspec.Struct, frozen=True):
    """What one node ships; a lane that the lake does not know has no particulars."""

    node: str
    lane_id: str | None
    lines: list[Line]
    carrier: str | None = None
    service: str | None = None
    mode: str | None = None
    distance_km: float | None = None
    transit_hours: float | None = None


class Plan(msgspec.Struct, frozen=True):
    """Nodes of a plan and its costs in minor units, by component."""

    nodes: list[str]
    costs_minor: dict[str, int]
    total_minor: int
    sum_minor: int

    @property
    def adds_up(self) -> bool:
        """Whether the components come to the total."""
        return self.sum_minor == self.total_minor


class Candidate(msgspec.Struct, frozen=True):
    """A node of the network, and why it was not in the running (``FEASIBLE``: it was)."""

    node: str
    exclusion: str
    chosen: bool


class Deviation(msgspec.Struct, frozen=True):
    """An exception of the order."""

    code: str
    severity: str
    node: str | None
    sku: str | None
    qty: int | None
    raised_at: datetime


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One decision. Names are those of the lake's columns, see ``schemas/tables.py``."""

    order_id: str
    tenant: str
    network: str
    partition: int
    position: int
    index: int
    revision: int
    kind: str
    trigger: str
    outcome: str
    selection: str
    hold_reason: str
    decided_at: datetime
    policy_version: str
    model_sha256: str | None
    region: str | None
    channel: str | None
    units_ordered: int
    units_served: int
    units_backordered: int
    units_unserved: int
    promise_at: datetime | None
    backorder_due_at: datetime | None
    carbon_g: int | None
    transit_p50_hours: float | None
    transit_p90_hours: float | None
    handling_hours: float | None
    late_probability: float | None
    out_of_range: bool | None
    margin_minor: int | None
    packages: list[Package]
    plans: list[Plan]
    candidates: list[Candidate]
    exceptions: list[Deviation]
