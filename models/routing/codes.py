"""Codes and column numbers as kernels compare with them: plain integers, named once."""

from models.routing.arrays import Count, Cursor, Field, Stop
from models.routing.features import Quantity
from models.routing.state import OrderState
from schemas.codes import (
    DeadLetterReason,
    ExceptionCode,
    Exclusion,
    HoldReason,
    PaymentState,
    TempClass,
    Trigger,
)
from schemas.kinds import Kind

(
    ORDER_RECEIVED, ORDER_AMENDED, ORDER_CANCELLED, PAYMENT_UPDATED, RETURN_RECEIVED,
    INVENTORY_COUNTED, INVENTORY_ADJUSTED, SUPPLY_PLANNED,
) = (int(k) for k in list(Kind)[:8])  # fmt: skip
WORK_REJECTED, WORK_TIMED_OUT = int(Kind.WORK_REJECTED), int(Kind.WORK_TIMED_OUT)
WORK_SHORT_PICKED, WORK_HANDED_OVER = int(Kind.WORK_SHORT_PICKED), int(Kind.WORK_HANDED_OVER)
CLOCK_TICKED = int(Kind.CLOCK_TICKED)

UNKNOWN, CANCELLED_EARLY, HELD, OPEN, CLOSED = (int(s) for s in OrderState)
CONFLICTING, NO_ORDER = (
    int(DeadLetterReason.CONFLICTING_ORDER),
    int(DeadLetterReason.UNKNOWN_ORDER),
)
NO_LINE, NO_NODE = int(DeadLetterReason.UNKNOWN_LINE), int(DeadLetterReason.UNKNOWN_NODE)
TOO_MANY, MORE_THAN_RESERVED = (
    int(DeadLetterReason.QUANTITY_OVERFLOW),
    int(DeadLetterReason.MORE_THAN_RESERVED),
)
E_REJECTED, E_TIMEOUT = int(ExceptionCode.NODE_REJECTED), int(ExceptionCode.NODE_TIMEOUT)
E_SHORT, E_OVERSELL = int(ExceptionCode.SHORT_PICK), int(ExceptionCode.OVERSELL_DETECTED)
E_DRIFT, E_DUPLICATE = int(ExceptionCode.INVENTORY_DRIFT), int(ExceptionCode.DUPLICATE_EVENT)
E_LATE, E_REGRESSION = int(ExceptionCode.LATE_EVENT), int(ExceptionCode.STATE_REGRESSION)
E_PAYMENT = int(ExceptionCode.PAYMENT_HOLD)
T_NEW, T_REJECTED, T_TIMEOUT = (
    int(Trigger.NEW_ORDER),
    int(Trigger.R_REJECTED),
    int(Trigger.R_TIMEOUT),
)
T_SHORT, T_CUSTOMER = int(Trigger.R_SHORT_PICK), int(Trigger.R_CUSTOMER_CHANGE)
T_ARRIVED, T_PAYMENT = int(Trigger.STOCK_ARRIVED), int(Trigger.PAYMENT)
NO_HOLD, AWAITING_PAYMENT = int(HoldReason.NONE), int(HoldReason.AWAITING_PAYMENT)
_PAYMENTS = list(PaymentState)
PENDING, AUTHORISED, FAILED = (
    _PAYMENTS.index(PaymentState.PENDING),
    _PAYMENTS.index(PaymentState.AUTHORISED),
    _PAYMENTS.index(PaymentState.FAILED),
)
(
    F_REGION, F_REVISION, F_CHANNEL, F_PRIORITY, F_NO_SPLIT, F_PAYMENT, F_REQUESTED, F_CARRIER,
    F_SERVICE, F_CUSTOMER, F_NODE, F_NAME, F_FLAG,
) = (int(f) for f in Field)  # fmt: skip
(
    C_RECORD, C_EFFECTS, C_STARTED, C_AGENDA_NEXT, C_AGENDA_END, C_PRIORITY, C_WAITING, C_WANTED,
    C_PIECES, C_PACKAGES, _, C_SWEEP, C_REROUTE, C_TRIGGER, C_NOW, C_LATEST,
) = (int(c) for c in Cursor)  # fmt: skip
N_LINES, N_ALLOCATIONS, _, N_SUPPLIES, N_CLOCK, N_PUBLISHED, N_ASSUMED, _, _ = (
    int(c) for c in Count
)
DONE, WANTS_SCORES, OUT_OF_ROOM, OUT_OF_LINES, PUBLISH = (int(s) for s in Stop)

HAZMAT_BIT = 1 << len(TempClass)
FEASIBLE = int(Exclusion.FEASIBLE)
X_NO_STOCK, X_SAFETY_STOCK = int(Exclusion.X_NO_STOCK), int(Exclusion.X_SAFETY_STOCK)
X_CAPACITY, X_CUTOFF = int(Exclusion.X_CAPACITY), int(Exclusion.X_CUTOFF)
X_DISTANCE, X_LANE_UNSERVED = int(Exclusion.X_DISTANCE), int(Exclusion.X_LANE_UNSERVED)
X_TEMP_CLASS, X_HAZMAT = int(Exclusion.X_TEMP_CLASS), int(Exclusion.X_HAZMAT)
X_BLOCKED, X_CUSTOMER = int(Exclusion.X_BLOCKED_REJECTER), int(Exclusion.X_CUSTOMER)
X_WEIGHT_BAND, X_CLOSED = int(Exclusion.X_WEIGHT_BAND), int(Exclusion.X_CLOSED)
P50, P90, LATE_Q, HANDLING_Q = (int(q) for q in Quantity)
