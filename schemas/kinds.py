"""The kinds of record a journal may hold, each with its number, its class and its columns.

The number is the kernel's and the slice's code for the kind. It is part of the checkpoint format, so
a new kind goes to the end. Arrow types are derived from the classes: there is one definition.
"""

from collections.abc import Mapping
from enum import IntEnum
from functools import cache
from typing import Any

import msgspec
import pyarrow as pa

from schemas.control import ClockTicked, ModelActivated, PolicyActivated
from schemas.decisions import (
    DecisionBackordered,
    DecisionCancelled,
    DecisionHeld,
    DecisionRerouted,
    DecisionRouted,
    DecisionUnroutable,
    ExceptionRaised,
    ReviewRequested,
    WorkOffered,
    WorkWithdrawn,
)
from schemas.envelope import Event
from schemas.inventory import InventoryAdjusted, InventoryCounted, PricesPublished, SupplyPlanned
from schemas.network import CapacitySet, LaneSet, NodeSet, SignalObserved
from schemas.orders import (
    OrderAmended,
    OrderCancelled,
    OrderReceived,
    PaymentUpdated,
    ReturnReceived,
)
from schemas.reviews import PlanProposed, RerouteRequested, ReviewDecided
from schemas.shipments import (
    FeedbackReceived,
    ServiceAccepted,
    ServiceInstalled,
    ServiceVisited,
    ShipmentMilestone,
)
from schemas.telemetry import DeviceBound, TelemetryPosition, TelemetrySensor
from schemas.work import (
    WorkAccepted,
    WorkHandedOver,
    WorkPacked,
    WorkPicked,
    WorkRejected,
    WorkShortPicked,
    WorkTimedOut,
)


class Kind(IntEnum):
    """Kinds of journal record."""

    ORDER_RECEIVED = 0
    ORDER_AMENDED = 1
    ORDER_CANCELLED = 2
    PAYMENT_UPDATED = 3
    RETURN_RECEIVED = 4
    INVENTORY_COUNTED = 5
    INVENTORY_ADJUSTED = 6
    SUPPLY_PLANNED = 7
    PRICES_PUBLISHED = 8
    NODE_SET = 9
    CAPACITY_SET = 10
    LANE_SET = 11
    SIGNAL_OBSERVED = 12
    WORK_ACCEPTED = 13
    WORK_REJECTED = 14
    WORK_TIMED_OUT = 15
    WORK_SHORT_PICKED = 16
    WORK_PICKED = 17
    WORK_PACKED = 18
    WORK_HANDED_OVER = 19
    CLOCK_TICKED = 20
    POLICY_ACTIVATED = 21
    MODEL_ACTIVATED = 22
    REVIEW_DECIDED = 23
    REROUTE_REQUESTED = 24
    PLAN_PROPOSED = 25
    DECISION_ROUTED = 26
    DECISION_REROUTED = 27
    DECISION_HELD = 28
    DECISION_BACKORDERED = 29
    DECISION_UNROUTABLE = 30
    DECISION_CANCELLED = 31
    REVIEW_REQUESTED = 32
    WORK_OFFERED = 33
    WORK_WITHDRAWN = 34
    EXCEPTION_RAISED = 35
    SHIPMENT_MILESTONE = 36
    SERVICE_INSTALLED = 37
    SERVICE_ACCEPTED = 38
    SERVICE_VISITED = 39
    FEEDBACK_RECEIVED = 40
    DEVICE_BOUND = 41
    TELEMETRY_SENSOR = 42
    TELEMETRY_POSITION = 43

    @property
    def tag(self) -> str:
        """The CloudEvents ``type``, as in ``order.received``."""
        return _TAGS[self]


EVENT_CLASSES: dict[Kind, type[Event]] = {
    Kind.ORDER_RECEIVED: OrderReceived,
    Kind.ORDER_AMENDED: OrderAmended,
    Kind.ORDER_CANCELLED: OrderCancelled,
    Kind.PAYMENT_UPDATED: PaymentUpdated,
    Kind.RETURN_RECEIVED: ReturnReceived,
    Kind.INVENTORY_COUNTED: InventoryCounted,
    Kind.INVENTORY_ADJUSTED: InventoryAdjusted,
    Kind.SUPPLY_PLANNED: SupplyPlanned,
    Kind.PRICES_PUBLISHED: PricesPublished,
    Kind.NODE_SET: NodeSet,
    Kind.CAPACITY_SET: CapacitySet,
    Kind.LANE_SET: LaneSet,
    Kind.SIGNAL_OBSERVED: SignalObserved,
    Kind.WORK_ACCEPTED: WorkAccepted,
    Kind.WORK_REJECTED: WorkRejected,
    Kind.WORK_TIMED_OUT: WorkTimedOut,
    Kind.WORK_SHORT_PICKED: WorkShortPicked,
    Kind.WORK_PICKED: WorkPicked,
    Kind.WORK_PACKED: WorkPacked,
    Kind.WORK_HANDED_OVER: WorkHandedOver,
    Kind.CLOCK_TICKED: ClockTicked,
    Kind.POLICY_ACTIVATED: PolicyActivated,
    Kind.MODEL_ACTIVATED: ModelActivated,
    Kind.REVIEW_DECIDED: ReviewDecided,
    Kind.REROUTE_REQUESTED: RerouteRequested,
    Kind.PLAN_PROPOSED: PlanProposed,
    Kind.DECISION_ROUTED: DecisionRouted,
    Kind.DECISION_REROUTED: DecisionRerouted,
    Kind.DECISION_HELD: DecisionHeld,
    Kind.DECISION_BACKORDERED: DecisionBackordered,
    Kind.DECISION_UNROUTABLE: DecisionUnroutable,
    Kind.DECISION_CANCELLED: DecisionCancelled,
    Kind.REVIEW_REQUESTED: ReviewRequested,
    Kind.WORK_OFFERED: WorkOffered,
    Kind.WORK_WITHDRAWN: WorkWithdrawn,
    Kind.EXCEPTION_RAISED: ExceptionRaised,
    Kind.SHIPMENT_MILESTONE: ShipmentMilestone,
    Kind.SERVICE_INSTALLED: ServiceInstalled,
    Kind.SERVICE_ACCEPTED: ServiceAccepted,
    Kind.SERVICE_VISITED: ServiceVisited,
    Kind.FEEDBACK_RECEIVED: FeedbackReceived,
    Kind.DEVICE_BOUND: DeviceBound,
    Kind.TELEMETRY_SENSOR: TelemetrySensor,
    Kind.TELEMETRY_POSITION: TelemetryPosition,
}
KIND_OF: dict[type[Event], Kind] = {cls: kind for kind, cls in EVENT_CLASSES.items()}
_TAGS: dict[Kind, str] = {k: str(c.__struct_config__.tag) for k, c in EVENT_CLASSES.items()}
KIND_OF_TAG: dict[str, Kind] = {tag: kind for kind, tag in _TAGS.items()}

INSTANT = pa.timestamp("us", "UTC")
ENVELOPE_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("subject", pa.string()),
        ("time", INSTANT),
        ("recordedtime", INSTANT),
        ("tenant", pa.string()),
        ("network", pa.string()),
    ]
)


@cache
def data_type(kind: Kind) -> pa.StructType:
    """The Arrow struct of the kind's ``data``: (field name, type) in declaration order."""
    info = msgspec.inspect.type_info(EVENT_CLASSES[kind])
    assert isinstance(info, msgspec.inspect.StructType)
    data = next(f for f in info.fields if f.name == "data")
    return _arrow_type(data.type)


@cache
def defaults(kind: Kind) -> Mapping[str, Any]:
    """What the fields of the kind's ``data`` hold when a record does not say; words as strings."""
    info = msgspec.inspect.type_info(EVENT_CLASSES[kind])
    assert isinstance(info, msgspec.inspect.StructType)
    data = next(f for f in info.fields if f.name == "data").type
    assert isinstance(data, msgspec.inspect.StructType)
    held = {}
    for field in data.fields:
        if field.default_factory is not msgspec.NODEFAULT:
            held[field.name] = msgspec.to_builtins(field.default_factory())
        elif field.default is not msgspec.NODEFAULT:
            held[field.name] = msgspec.to_builtins(field.default)
    return held


def _arrow_type(info: Any) -> pa.DataType:
    """Arrow type of a msgspec type; units are int64, words are strings."""
    match info:
        case msgspec.inspect.Metadata():
            return _arrow_type(info.type)
        case msgspec.inspect.UnionType():
            (inner,) = [t for t in info.types if not isinstance(t, msgspec.inspect.NoneType)]
            return _arrow_type(inner)
        case msgspec.inspect.StructType():
            return pa.struct([pa.field(f.name, _arrow_type(f.type)) for f in info.fields])
        case msgspec.inspect.ListType():
            return pa.list_(_arrow_type(info.item_type))
        case msgspec.inspect.BoolType():
            return pa.bool_()
        case msgspec.inspect.IntType():
            return pa.int64()
        case msgspec.inspect.FloatType():
            return pa.float64()
        case msgspec.inspect.StrType() | msgspec.inspect.EnumType():
            return pa.string()
        case msgspec.inspect.DateTimeType():
            return INSTANT
        case msgspec.inspect.DateType():
            return pa.date32()
    raise TypeError(f"no Arrow type for {info!r}")
