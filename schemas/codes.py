"""Every enumeration of the domain, once.

Two shapes. Words that travel inside records are ``StrEnum``; their order here is their integer code in
the kernels, so new members go to the end. Codes that only Crossdock writes are ``IntEnum``: the
kernels work with the number, tables and people see the name.

Source: domain.md sections D.3 to D.7 (schema.org, AfterShip, EPCIS CBV 2.0, DCSA, Shopify, HotWax).
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum


class TempClass(StrEnum):
    """Temperature band that goods need, or that a node or lane can keep."""

    AMBIENT = "ambient"
    CRT = "crt"  # controlled room temperature, 20 to 25 degrees Celsius
    COOL = "cool"  # 8 to 15
    REFRIGERATED = "refrigerated"  # 2 to 8
    FROZEN = "frozen"  # below -18


class LocationType(StrEnum):
    """What kind of place a node is."""

    DISTRIBUTION_CENTRE = "distribution_centre"
    STORE = "store"
    SUPPLIER = "supplier"
    FACTORY = "factory"


class Mode(StrEnum):
    """Transport mode of a lane, as in ISO 14083."""

    ROAD = "road"
    RAIL = "rail"
    AIR = "air"
    SEA = "sea"


class OrderKind(StrEnum):
    """Why an order exists."""

    REAL = "REAL"
    VIRTUAL = "VIRTUAL"
    IOT_REORDER = "IOT_REORDER"
    PRESALE = "PRESALE"


class PaymentState(StrEnum):
    """Whether the money is there. Pending orders are held, failed ones cancelled."""

    PENDING = "pending"
    AUTHORISED = "authorised"
    FAILED = "failed"


class AdjustmentReason(StrEnum):
    """Why stock changed outside an order."""

    RECEIPT = "receipt"
    DAMAGE = "damage"
    TRANSFER_IN = "transfer_in"
    TRANSFER_OUT = "transfer_out"
    CORRECTION = "correction"


class CapacityMeasure(StrEnum):
    """What a node's daily capacity counts."""

    UNITS = "units"
    ORDERS = "orders"


class SupplySource(StrEnum):
    """Where planned supply comes from."""

    INBOUND = "inbound"
    PRODUCTION = "production"


class SignalKind(StrEnum):
    """External signals that may change a forecast or the risk of a lane."""

    WEATHER = "weather"
    PROMOTION = "promotion"
    SENTIMENT = "sentiment"


class Phase(StrEnum):
    """Life-cycle phase of an order (domain.md D.3)."""

    VIRTUAL = "VIRTUAL"
    RECEIVED = "RECEIVED"
    VALIDATED = "VALIDATED"
    HELD = "HELD"
    ROUTED = "ROUTED"
    BACKORDERED = "BACKORDERED"
    RELEASED = "RELEASED"
    PICKED = "PICKED"
    PACKED = "PACKED"
    HANDED_OVER = "HANDED_OVER"
    IN_TRANSIT = "IN_TRANSIT"
    CUSTOMS = "CUSTOMS"
    OUT_FOR_DELIVERY = "OUT_FOR_DELIVERY"
    AVAILABLE_FOR_PICKUP = "AVAILABLE_FOR_PICKUP"
    ATTEMPT_FAILED = "ATTEMPT_FAILED"
    DELIVERED = "DELIVERED"
    SIGNED = "SIGNED"
    INSTALLED = "INSTALLED"
    ACCEPTED = "ACCEPTED"
    CLOSED = "CLOSED"
    RETURNING = "RETURNING"
    RETURNED = "RETURNED"
    CANCELLED = "CANCELLED"
    LOST = "LOST"
    DAMAGED = "DAMAGED"


class Milestone(StrEnum):
    """What can happen to a parcel on its way (domain.md D.3)."""

    PACKED = "packed"
    HANDED_OVER = "handed_over"  # the carrier has it
    SCANNED = "scanned"  # seen somewhere on the way
    DEPARTED = "departed"
    ARRIVED = "arrived"
    CUSTOMS_PRESENTED = "customs_presented"
    CUSTOMS_HELD = "customs_held"
    CUSTOMS_CLEARED = "customs_cleared"
    OUT_FOR_DELIVERY = "out_for_delivery"
    AVAILABLE_FOR_PICKUP = "available_for_pickup"
    ATTEMPT_FAILED = "attempt_failed"
    DELIVERED = "delivered"
    SIGNED = "signed"
    RETURNING = "returning"
    RETURNED = "returned"
    LOST = "lost"
    DAMAGED = "damaged"


class Classifier(StrEnum):
    """Which of a milestone's times is told (DCSA)."""

    ACTUAL = "ACT"
    PLANNED = "PLN"
    ESTIMATED = "EST"
    RETRACTED = "RET"  # ours: it did not happen; see ``retracts``


class Trouble(StrEnum):
    """Why a carrier could not go on; names are those of ``ExceptionCode``."""

    NONE = ""
    PAYMENT_HOLD = "PAYMENT_HOLD"
    ADDRESS_INVALID = "ADDRESS_INVALID"
    CUSTOMER_REFUSED = "CUSTOMER_REFUSED"
    PICKUP_MISSED = "PICKUP_MISSED"
    CARRIER_REJECTED = "CARRIER_REJECTED"


class UnitOfMeasure(StrEnum):
    """Units of sensor reports (UN/ECE recommendation 20)."""

    CELSIUS = "CEL"
    FAHRENHEIT = "FAH"
    KELVIN = "KEL"
    PERCENT = "P1"
    GRAVITY = "K40"  # standard acceleration of free fall
    METRE_PER_SECOND_SQUARED = "MSK"
    LUX = "LUX"
    HECTOPASCAL = "A97"
    VOLT = "VLT"
    PARTS_PER_MILLION = "59"


class SensorException(StrEnum):
    """What a device says of its own reading (EPCIS CBV 2.0, 8.6.4)."""

    ALARM = "ALARM_CONDITION"
    ERROR = "ERROR_CONDITION"


class ReadingState(IntEnum):
    """What the tracker made of a sensor report."""

    UNJUDGED = 0  # nothing to judge it by
    IN_BAND = 1
    LOW = 2
    HIGH = 3
    FAILED = 4  # the device's error, or no value
    WRONG_UNIT = 5  # not one of its type


class Outcome(IntEnum):
    """What a decision came to (domain.md D.7), seen over the whole order."""

    FULLY_ROUTED = 0
    PARTIALLY_ROUTED = 1
    BACKORDERED = 2
    QUEUED = 3
    HELD_FOR_REVIEW = 4
    UNROUTABLE = 5
    ERROR = 6
    CANCELLED = 7


class DecisionKind(IntEnum):
    """Which question the decision answered."""

    ROUTE = 0
    REROUTE = 1
    SHADOW = 2
    VIRTUAL = 3
    CANCEL = 4


class Exclusion(IntEnum):
    """Why a candidate node was not in the running; 0 means that it was."""

    FEASIBLE = 0
    X_NO_STOCK = 1
    X_SAFETY_STOCK = 2
    X_CAPACITY = 3
    X_CUTOFF = 4
    X_DISTANCE = 5
    X_LOCATION_TYPE = 6
    X_NETWORK = 7
    X_LANE_UNSERVED = 8
    X_TEMP_CLASS = 9
    X_HAZMAT = 10
    X_EXPORT = 11
    X_PROMISE_INFEASIBLE = 12
    X_CARRIER_DOWN = 13
    X_SPLIT_LIMIT = 14
    X_MIN_SHIP_VALUE = 15
    X_BLOCKED_REJECTER = 16
    X_TENANT = 17
    X_RULE = 18
    X_CUSTOMER = 19  # ours: the node serves named customers only (vendor-managed inventory)
    X_WEIGHT_BAND = 20  # ours: no tariff band of the lane covers the weight
    X_CLOSED = 21  # ours: the node is closed
    X_NOT_PINNED = 22  # ours: a person or a proposal named other nodes


class Selection(IntEnum):
    """Why the winner won."""

    S_NONE = 0
    S_ONLY_FEASIBLE = 1
    S_LOWEST_TOTAL = 2
    S_RULE_PIN = 3
    S_TIE_BREAK = 4
    S_FALLBACK_STRATEGY = 5
    S_MODEL_FALLBACK = 6
    S_SOFT_CONSTRAINT_RELAXED = 7
    S_VIRTUAL_CONVERTED = 8
    S_HUMAN = 9
    S_MOST_UNITS = 10  # ours: no plan served every unit; this one serves the most
    S_KEEPS_DATE = 11  # ours: cheaper plans would come after the date asked for


class Trigger(IntEnum):
    """What made an order be decided (again)."""

    NEW_ORDER = 0
    R_REJECTED = 1
    R_TIMEOUT = 2
    R_SHORT_PICK = 3
    R_STOCK_CORRECTION = 4
    R_CARRIER_FAIL = 5
    R_PROMISE_AT_RISK = 6
    R_BETTER_PLAN = 7
    R_CUSTOMER_CHANGE = 8
    R_OPERATOR = 9
    R_EXCURSION = 10
    STOCK_ARRIVED = 11  # ours: a backorder is served
    PAYMENT = 12  # ours: payment was authorised or failed
    NODE_CLOSED = 13  # ours: the node no longer ships
    CAPACITY_CUT = 14  # ours: the node ships less on the day than was booked


class RerouteReason(StrEnum):
    """Why somebody outside the router wants an order decided again; names are those of ``Trigger``."""

    R_OPERATOR = "R_OPERATOR"
    R_PROMISE_AT_RISK = "R_PROMISE_AT_RISK"
    R_CARRIER_FAIL = "R_CARRIER_FAIL"
    R_EXCURSION = "R_EXCURSION"


class Verdict(StrEnum):
    """What a person decided about an order."""

    ROUTE = "route"
    ASSIGN = "assign"
    CANCEL = "cancel"


class HoldReason(IntEnum):
    """Why an order waits for somebody."""

    NONE = 0
    AWAITING_PAYMENT = 1
    AWAITING_RETURN_ITEMS = 2
    HIGH_RISK_OF_FRAUD = 3
    INCORRECT_ADDRESS = 4
    INVENTORY_OUT_OF_STOCK = 5
    UNKNOWN_DELIVERY_DATE = 6
    OTHER = 7
    HIGH_VALUE = 8
    VIP = 9
    LOW_CONFIDENCE = 10
    CLOSE_CALL = 11
    OUT_OF_DISTRIBUTION = 12
    COST_OUTLIER = 13
    EXCESS_SPLIT = 14
    REPEATED_REJECTION = 15
    COLD_CHAIN_RISK = 16
    CUSTOMS_DOCUMENT = 17
    POLICY = 18


class OverrideReason(StrEnum):
    """Why a person decided otherwise."""

    MODEL_WRONG = "MODEL_WRONG"
    RULE_WRONG = "RULE_WRONG"
    DATA_WRONG = "DATA_WRONG"
    CUSTOMER_REQUEST = "CUSTOMER_REQUEST"
    RELATIONSHIP = "RELATIONSHIP"
    OPERATOR_FORCED = "OPERATOR_FORCED"


class Severity(StrEnum):
    """How loudly an exception asks for attention."""

    INFO = "info"
    WARN = "warn"
    HIGH = "high"


class ExceptionCode(IntEnum):
    """Business deviations (domain.md D.6)."""

    DELAY_PREDICTED = 1
    DELAY_BREACHED = 2
    MILESTONE_MISSED_ROUTE = 3
    MILESTONE_MISSED_PICK = 4
    MILESTONE_MISSED_PACK = 5
    MILESTONE_MISSED_HANDOVER = 6
    SILENCE = 7
    EXPIRED = 8
    GPS_STALE = 9
    GPS_OFF_ROUTE = 10
    DWELL_LONG = 11
    TEMP_EXCURSION_MINOR = 12
    TEMP_EXCURSION_MAJOR = 13
    HUMIDITY_EXCURSION = 14
    SENSOR_GAP = 15
    DOOR_OPEN = 16
    CUSTOMS_HOLD = 17
    PAYMENT_HOLD = 18
    ADDRESS_INVALID = 19
    CUSTOMER_REFUSED = 20
    PICKUP_MISSED = 21
    CARRIER_REJECTED = 22
    DAMAGED = 23
    LOST = 24
    RETURNING = 25
    ATTEMPT_FAILED = 26
    NODE_REJECTED = 27
    NODE_TIMEOUT = 28
    SHORT_PICK = 29
    UNROUTABLE = 30
    CAPACITY_EXHAUSTED = 31
    SPLIT_LIMIT_REACHED = 32
    OVERSELL_PREVENTED = 33
    OVERSELL_DETECTED = 34
    INVENTORY_DRIFT = 35
    DUPLICATE_EVENT = 36
    LATE_EVENT = 37
    STATE_REGRESSION = 38
    SCHEMA_INVALID = 39
    SOURCE_LAG = 40
    INSTALL_OVERDUE = 41
    ACCEPTANCE_OVERDUE = 42
    FEEDBACK_NEGATIVE = 43
    BACKLOG_RISK = 44
    PLAN_VOID = 45  # ours: a proposed plan no longer holds, or is not better
    SHOCK = 46  # ours: the parcel was thrown or dropped


RESERVED: Mapping[type[IntEnum], frozenset[IntEnum]] = {
    Outcome: frozenset({Outcome.QUEUED, Outcome.ERROR}),
    DecisionKind: frozenset({DecisionKind.SHADOW, DecisionKind.VIRTUAL}),
    Exclusion: frozenset(
        {
            Exclusion.X_LOCATION_TYPE,
            Exclusion.X_NETWORK,
            Exclusion.X_EXPORT,
            Exclusion.X_PROMISE_INFEASIBLE,
            Exclusion.X_SPLIT_LIMIT,
            Exclusion.X_MIN_SHIP_VALUE,
            Exclusion.X_TENANT,
            Exclusion.X_RULE,
        }
    ),
    Selection: frozenset(
        {
            Selection.S_RULE_PIN,
            Selection.S_FALLBACK_STRATEGY,
            Selection.S_MODEL_FALLBACK,
            Selection.S_SOFT_CONSTRAINT_RELAXED,
            Selection.S_VIRTUAL_CONVERTED,
        }
    ),
    HoldReason: frozenset(HoldReason)
    - {HoldReason.NONE, HoldReason.AWAITING_PAYMENT, HoldReason.REPEATED_REJECTION},
    ExceptionCode: frozenset(
        {
            ExceptionCode.OVERSELL_PREVENTED,
            ExceptionCode.SCHEMA_INVALID,
            ExceptionCode.SOURCE_LAG,
            ExceptionCode.BACKLOG_RISK,
        }
    ),
}
"""Codes of the domain that nothing makes yet; their numbers are kept for them. By enumeration, since members of
two of them are equal where their numbers are."""


class ModelOf(StrEnum):
    """What a model scores; each is activated on the log of those who use it."""

    ROUTE = "route"  # candidates of the router, on the journal
    ARRIVAL = "arrival"  # of a parcel, on the tracking log


class Action(StrEnum):
    """What answers an exception (domain.md D.6)."""

    REROUTE = "REROUTE"  # what is not picked yet is to be decided again
    REVIEW = "REVIEW"  # a person is to look
    COMPENSATE = "COMPENSATE"  # a proposal, with its amount


class Audience(StrEnum):
    """Whom a notification is for."""

    CUSTOMER = "customer"
    OPERATOR = "operator"
    PARTNER = "partner"


class Template(StrEnum):
    """What a notification says."""

    CONFIRMED = "CONFIRMED"  # a date is told
    RESCHEDULED = "RESCHEDULED"  # another one
    SHIPPED = "SHIPPED"
    CUSTOMS = "CUSTOMS"
    OUT_FOR_DELIVERY = "OUT_FOR_DELIVERY"
    PICKUP_READY = "PICKUP_READY"
    DELIVERED = "DELIVERED"
    ATTEMPT_FAILED = "ATTEMPT_FAILED"
    DELAYED = "DELAYED"
    EXCURSION = "EXCURSION"
    RETURNING = "RETURNING"
    LOST = "LOST"
    DAMAGED = "DAMAGED"
    CANCELLED = "CANCELLED"
    INSTALLATION_DUE = "INSTALLATION_DUE"
    ACCEPTANCE_DUE = "ACCEPTANCE_DUE"
    FEEDBACK_REQUESTED = "FEEDBACK_REQUESTED"
    COMPENSATED = "COMPENSATED"  # what is offered for the trouble
    ALERT = "ALERT"  # an exception, for those who work on it
    RESOLVED = "RESOLVED"


class DeadLetterReason(IntEnum):
    """Why a record of the journal could not take effect."""

    SCHEMA_INVALID = 1
    UNKNOWN_KIND = 2
    CONFLICTING_ORDER = 3  # same order and revision, other content: the first one stands
    UNKNOWN_ORDER = 4
    UNKNOWN_LINE = 5
    QUANTITY_OVERFLOW = 6
    UNKNOWN_NODE = 7
    MORE_THAN_RESERVED = 8
    WRONG_PARTITION = 9  # its network lives in another partition of the log
    TOO_LARGE = 10  # for the topic of the journal
    UNRESOLVED = 11  # its foreign id stood for nothing, to the end of its wait
    WRONG_LOG = 12  # it belongs on another log
    UNRECOGNISED = 13  # no record of its channel's mapping is in it
    UNMAPPED = 14  # a field of it cannot be what its channel's mapping says
