"""The lake's tables: columns, and the effects of a slice as rows for them.

Every fact row starts with (``partition``, ``position``, ``index``): the log record that caused it and
which of that record's effects it is, counted from 0 over all tables; numbers may be left out. Facts are
append-only; what is current is a view. ``measurements`` are what the wall clock said: no fact, and outside
every digest.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from schemas.kinds import INSTANT

VERSION = 6
"""Version of the tables below; a lake of another version is refused."""


class Table(StrEnum):
    """Fact tables of the lake."""

    DECISIONS = "decisions"
    ALLOCATIONS = "allocations"
    EXCEPTIONS = "exceptions"
    TIMELINE = "timeline"
    READINGS = "readings"
    LOCATIONS = "locations"
    ESTIMATES = "estimates"
    ACTIONS = "actions"
    OUTBOX = "outbox"
    STOCK = "stock"
    NODES = "nodes"
    LANES = "lanes"
    DEAD_LETTERS = "dead_letters"
    MEASUREMENTS = "measurements"


_CAUSE = [("partition", pa.int32()), ("position", pa.int64()), ("index", pa.int32())]
_SCOPE = [("tenant", pa.string()), ("network", pa.string())]
COMPONENTS = ("freight", "handling", "time", "late", "carbon", "shadow", "split")
"""Terms of a plan's cost, weighted by the policy, in minor units; they add up to ``total``."""


def _costs(prefix: str) -> list[tuple[str, pa.DataType]]:
    return [(f"{prefix}{name}_minor", pa.int64()) for name in (*COMPONENTS, "total")]


SCHEMAS: dict[Table, pa.Schema] = {
    Table.DECISIONS: pa.schema(
        [
            *_CAUSE,
            *_SCOPE,
            ("order_id", pa.string()),
            ("revision", pa.int32()),
            ("kind", pa.string()),  # DecisionKind
            ("trigger", pa.string()),  # Trigger
            ("outcome", pa.string()),  # Outcome, of the whole order after this decision
            ("selection", pa.string()),  # Selection
            ("hold_reason", pa.string()),  # HoldReason
            ("decided_at", INSTANT),  # record time of the cause
            ("policy_version", pa.string()),
            ("model_sha256", pa.string()),  # empty: rules decided
            ("price_epoch", pa.int64()),
            ("region", pa.string()),
            ("channel", pa.string()),
            ("customer", pa.string()),  # a token; null: none
            ("tier", pa.string()),
            ("currency", pa.string()),
            ("value_minor", pa.int64()),  # of the goods, as the revision orders them
            ("installation", pa.bool_()),  # is wanted after delivery
            ("acceptance", pa.bool_()),
            ("lines", pa.int32()),  # of the whole order
            ("units_ordered", pa.int64()),  # of the whole order, less cancelled units
            ("units_served", pa.int64()),  # by this decision's packages
            ("units_backordered", pa.int64()),  # by this decision, against planned supply
            ("units_unserved", pa.int64()),  # neither; the order stays open for a person
            ("weight_g", pa.int64()),  # of this decision's packages
            ("nodes", pa.list_(pa.string())),  # the winner: a package per node, in allocation order
            ("lane_ids", pa.list_(pa.string())),  # and the lane of each
            (
                "promise_at",
                INSTANT,
            ),  # this decision's packages delivered, at the policy's confidence
            ("backorder_due_at", INSTANT),  # when the supply of the backordered units is due
            ("requested_by", INSTANT),
            ("original_commit_at", INSTANT),  # the first date that the customer was told
            ("latest_commit_at", INSTANT),  # the one that stands; null while a unit has none
            ("attempts", pa.int32()),  # refusals by nodes so far
            ("priority_score", pa.int64()),  # nodes release the highest first
            ("parcels", pa.int32()),  # of this decision's packages
            *_costs(""),
            ("carbon_g", pa.int64()),  # CO2e, well to wheel
            ("factor_set", pa.string()),  # of the emission factors, by the lane's mode and distance
            ("greenest_lane_id", pa.string()),  # ships all with the least CO2e; null: no lane can
            ("greenest_carbon_g", pa.int64()),
            ("greenest_total_minor", pa.int64()),
            ("greenest_door_minutes", pa.int64()),  # from the decision to the door, at the median
            ("door_minutes", pa.int64()),  # the same of the slowest package of the winner
            ("transit_p50_hours", pa.float32()),  # of the slowest package
            ("transit_p90_hours", pa.float32()),
            ("handling_hours", pa.float32()),
            ("late_probability", pa.float32()),
            ("out_of_range", pa.bool_()),  # an input of the winner lay outside the trained range
            ("runner_up_nodes", pa.list_(pa.string())),  # empty: there was none
            *_costs("runner_up_"),
            ("second_runner_up_nodes", pa.list_(pa.string())),
            *_costs("second_runner_up_"),
            ("margin_minor", pa.int64()),  # runner-up total - winner total; null without runner-up
            ("exclusions", pa.list_(pa.uint8())),  # Exclusion per node, by nodes.node_no
        ]
    ),
    Table.ALLOCATIONS: pa.schema(
        [
            *_CAUSE,
            *_SCOPE,
            ("order_id", pa.string()),
            ("line_no", pa.int64()),
            ("sku", pa.string()),
            ("node", pa.string()),
            ("lane_id", pa.string()),
            ("event", pa.string()),  # placed, released, consumed; planned, unplanned (supply)
            ("qty", pa.int64()),  # positive
            ("ship_date", pa.date32()),  # the node's day that this was booked on; null if planned
        ]
    ),
    Table.EXCEPTIONS: pa.schema(
        [
            *_CAUSE,
            *_SCOPE,
            ("code", pa.string()),  # ExceptionCode
            ("severity", pa.string()),
            ("order_id", pa.string()),
            ("node", pa.string()),  # whose it is; of a tracked order: that is to act
            ("sku", pa.string()),
            ("qty", pa.int64()),
            ("raised_at", INSTANT),
            (
                "change",
                pa.string(),
            ),  # raised, escalated, resolved; null: the router's, one of a kind
            ("package", pa.string()),  # with code and node the cause, from raised to resolved
            ("evidence", pa.int64()),  # position of the record that shows it; null: time has passed
        ]
    ),
    Table.TIMELINE: pa.schema(
        [
            *_CAUSE,
            *_SCOPE,
            ("order_id", pa.string()),
            (
                "step",
                pa.string(),
            ),  # models.lifecycle.steps.Step, or DEADLINE: time has passed; RETRACTED: what was said
            # of this parcel was taken back by what was said of another
            ("classifier", pa.string()),  # of a milestone: ACT, PLN, EST, RET
            ("at", INSTANT),  # when it happened, or was said
            (
                "planned_at",
                INSTANT,
            ),  # when it is to happen, of PLN and EST; of work: shipped by then
            ("units", pa.int64()),  # of work; null: all that the order has at the node
            ("package", pa.string()),  # named like its node: all that the node ships
            ("node", pa.string()),
            ("device", pa.string()),  # of its binding and release
            ("carrier", pa.string()),
            ("reason", pa.string()),
            ("latitude", pa.float64()),
            ("longitude", pa.float64()),
            ("place", pa.string()),
            ("promise_at", INSTANT),  # of a decision: what the customer was told last
            ("first_promise_at", INSTANT),
            ("customer", pa.string()),  # of an order; a token
            ("channel", pa.string()),
            ("tier", pa.string()),
            ("nps", pa.int64()),
            ("csat", pa.int64()),
            ("fixed", pa.bool_()),  # of a visit: nothing was left to do
            ("source", pa.string()),
            ("event_id", pa.string()),
            ("retracts", pa.string()),  # id of what was wrong, of the same source
            ("recorded_at", INSTANT),  # when it was learnt
            ("phase", pa.string()),  # of the order, after this
            ("package_phase", pa.string()),  # of the parcel, after this
            ("is_late", pa.bool_()),  # something that happened later was known already
        ]
    ),
    Table.READINGS: pa.schema(
        [
            *_CAUSE,
            *_SCOPE,
            ("order_id", pa.string()),
            ("package", pa.string()),  # null: its device was not bound to one yet
            ("device", pa.string()),
            ("type", pa.string()),  # EPCIS measurement type
            ("value", pa.float64()),
            ("min_value", pa.float64()),
            ("max_value", pa.float64()),
            ("uom", pa.string()),
            ("exception", pa.string()),  # the device's own word
            ("at", INSTANT),
            ("recorded_at", INSTANT),
            ("source", pa.string()),
            ("state", pa.string()),  # ReadingState
            ("band_low", pa.float64()),  # what it was judged by: degrees Celsius, %, g, lux
            ("band_high", pa.float64()),
        ]
    ),
    Table.LOCATIONS: pa.schema(
        [
            *_CAUSE,
            *_SCOPE,
            ("order_id", pa.string()),
            ("package", pa.string()),
            ("device", pa.string()),
            ("latitude", pa.float64()),
            ("longitude", pa.float64()),
            ("accuracy_m", pa.float64()),
            ("speed_kmh", pa.float64()),
            ("heading", pa.float64()),
            ("at", INSTANT),
            ("recorded_at", INSTANT),
            ("source", pa.string()),
            ("progress", pa.float64()),  # share of the planned way, 0 to 1; null: none is planned
            ("remaining_km", pa.float64()),  # to its end
            ("off_route_km", pa.float64()),  # beside it
        ]
    ),
    Table.ESTIMATES: pa.schema(
        [
            *_CAUSE,
            *_SCOPE,
            ("order_id", pa.string()),
            ("package", pa.string()),  # null: the order as a whole, before a parcel is known
            ("lane", pa.string()),  # by whose history it was made
            ("step", pa.string()),  # the last that was known; models.lifecycle.steps.Step
            ("at", INSTANT),  # log time at which it was made
            ("p50_at", INSTANT),  # delivered by then with a probability of one half
            ("p90_at", INSTANT),  # of nine in ten
            ("promise_at", INSTANT),  # what the customer was told last
            ("is_delay_predicted", pa.bool_()),
            ("model_sha256", pa.string()),  # empty: by the history of the lane alone
        ]
    ),  # a row whenever what is told of an arrival changes
    Table.ACTIONS: pa.schema(
        [
            *_CAUSE,
            *_SCOPE,
            ("order_id", pa.string()),
            ("package", pa.string()),
            ("code", pa.string()),  # ExceptionCode that it answers
            ("action", pa.string()),  # Action
            ("node", pa.string()),  # whose work is to go elsewhere
            ("amount_minor", pa.int64()),  # of a compensation
            ("currency", pa.string()),
            ("policy_version", pa.string()),
            ("record_id", pa.string()),  # of the record that asks for it; null: none does
            ("at", INSTANT),
        ]
    ),
    Table.OUTBOX: pa.schema(
        [
            *_CAUSE,
            *_SCOPE,
            ("order_id", pa.string()),
            ("package", pa.string()),
            ("audience", pa.string()),  # Audience
            ("template", pa.string()),  # Template
            ("customer", pa.string()),  # a token
            ("tier", pa.string()),
            ("channel", pa.string()),  # that the order came by
            ("language", pa.string()),  # such as zh or en
            ("code", pa.string()),  # ExceptionCode that it is about; null: none
            ("link", pa.string()),  # path of the order's page, without the host
            ("details", pa.string()),  # JSON object of what the text may say, by name
            ("at", INSTANT),
        ]
    ),
    Table.STOCK: pa.schema(
        [
            *_CAUSE,
            *_SCOPE,
            ("node", pa.string()),
            ("sku", pa.string()),
            ("on_hand", pa.int64()),
            ("reserved", pa.int64()),
            ("safety_stock", pa.int64()),
            ("available", pa.int64()),  # on_hand - reserved - safety_stock; may be negative
            ("at", INSTANT),
        ]
    ),
    Table.NODES: pa.schema(
        [
            *_CAUSE,
            *_SCOPE,
            ("node_no", pa.int32()),
            ("node", pa.string()),
            ("location_type", pa.string()),
            ("open", pa.bool_()),
            ("at", INSTANT),
        ]
    ),
    Table.LANES: pa.schema(
        [
            *_CAUSE,
            *_SCOPE,
            ("lane_id", pa.string()),
            ("node", pa.string()),
            ("region", pa.string()),
            ("carrier", pa.string()),
            ("service", pa.string()),
            ("mode", pa.string()),
            ("origin_port", pa.string()),
            ("distance_km", pa.float64()),
            ("transit_hours", pa.float64()),
            ("open", pa.bool_()),
            ("at", INSTANT),
        ]
    ),
    Table.DEAD_LETTERS: pa.schema(
        [
            *_CAUSE,
            *_SCOPE,
            ("kind", pa.string()),
            ("subject", pa.string()),
            ("reason", pa.string()),  # DeadLetterReason
            ("detail", pa.string()),
            ("at", INSTANT),
            ("raw", pa.binary()),  # of what was no record; null where a record had no effect
        ]
    ),
    Table.MEASUREMENTS: pa.schema(
        [
            ("partition", pa.int32()),
            ("first_position", pa.int64()),
            ("position", pa.int64()),  # last record of the slice
            ("records", pa.int64()),
            ("decisions", pa.int64()),
            ("advance_ms", pa.float64()),  # slice read -> all its decisions made
            ("committed_at", INSTANT),  # filled by the lake writer
        ]
    ),
}


class Draft(Protocol):
    """Effects as they were made: columns once somebody wants them, those of many slices at once."""

    def count(self, table: Table) -> int:
        """Number of its rows in a table."""

    def first(self) -> int:
        """Lowest position of a row."""

    def plain(self, table: Table, names: Sequence[str]) -> Iterable[tuple[Any, ...]]:
        """Some columns of a fact table, row by row, as values that JSON can take."""

    def tables(self, later: Sequence[Any]) -> Mapping[Table, list[pa.Table]]:
        """Its rows and those of later drafts of the same sort."""


class Measured(NamedTuple):
    """What the wall clock said of a slice."""

    first_position: int
    records: int
    decisions: int
    advance_ms: float


@dataclass(frozen=True, slots=True)
class Effects:
    """What a stretch of one partition caused.

    Attributes:
        partition: the log partition.
        position: position of the last record read; every row's position is at most this.
        given: rows per table in (position, index) order, where they are columns already.
        drafts: where they are not; all of one sort.
        measured: how long it took, if that was measured.
    """

    partition: int
    position: int
    given: Mapping[Table, pa.Table] = field(default_factory=dict)
    drafts: Sequence[Draft] = ()
    measured: Measured | None = None

    @property
    def tables(self) -> Mapping[Table, pa.Table]:
        """All rows per table in (position, index) order; a table without rows is absent."""
        return to_tables([self])

    def count(self, table: Table) -> int:
        """Number of rows in a table."""
        given = self.given.get(table)
        drafted = sum(draft.count(table) for draft in self.drafts)
        return drafted + (given.num_rows if given is not None else 0)

    def first(self) -> int:
        """Lowest position of a row; the last record's where there is none."""
        given = [rows["position"][0].as_py() for rows in self.given.values() if rows.num_rows]
        return min([draft.first() for draft in self.drafts] + given, default=self.position)

    def plain(self, table: Table, names: Sequence[str]) -> Iterable[tuple[Any, ...]]:
        """Some columns of what was drafted, row by row, as values that JSON can take."""
        return chain.from_iterable(draft.plain(table, names) for draft in self.drafts)


def to_tables(effects: Sequence[Effects]) -> dict[Table, pa.Table]:
    """Rows per table of one partition's effects, in (position, index) order."""
    chunks: dict[Table, list[pa.Table]] = {}
    drafts = [draft for one in effects for draft in one.drafts]
    if drafts:
        chunks |= drafts[0].tables(drafts[1:])
    for one in effects:
        for table, rows in one.given.items():
            chunks.setdefault(table, []).append(rows)
    return {table: _ordered(joined(parts, SCHEMAS[table])) for table, parts in chunks.items()}


def joined(parts: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    """Rows of one table after another; dictionaries stay where all parts have them."""
    if any(part.schema != parts[0].schema for part in parts):  # dead letters of log and of router
        parts = [part.cast(schema) for part in parts]
    return pa.concat_tables(parts)


def _ordered(rows: pa.Table) -> pa.Table:
    """Rows by (position, index): several networks take turns on one partition."""
    positions = rows["position"].to_numpy()
    if (positions[1:] >= positions[:-1]).all():
        return rows
    return rows.take(pa.array(np.lexsort((rows["index"].to_numpy(), positions))))
