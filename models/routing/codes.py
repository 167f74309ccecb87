"""Codes and column numbers as kernels compare with them: plain integers, named once."""

from models.routing.arrays import Count, Cursor, Field, Recall, Stop
from models.routing.features import Quantity
from models.routing.state import OrderState, Stage
from schemas.codes import (
    DeadLetterReason,
    ExceptionCode,
    Exclusion,
    HoldReason,
    PaymentState,
    TempClass,
    Trigger,
    Verdict,
)
from schemas.kinds import Kind

(
    ORDER_RECEIVED, ORDER_AMENDED, ORDER_CANCELLED, PAYMENT_UPDATED, RETURN_RECEIVED,
    INVENTORY_COUNTED, INVENTORY_ADJUSTED, SUPPLY_PLANNED,
) = (int(k) for k in list(Kind)[:8])  # fmt: skip
WORK_REJECTED, WORK_TIMED_OUT = int(Kind.WORK_REJECTED), int(Kind.WORK_TIMED_OUT)
WORK_SHORT_PICKED, WORK_HANDED_OVER = int(Kind.WORK_SHORT_PICKED), int(Kind.WORK_HANDED_OVER)
WORK_ACCEPTED, WORK_PICKED = int(Kind.WORK_ACCEPTED), int(Kind.WORK_PICKED)
WORK_PACKED, CLOCK_TICKED = int(Kind.WORK_PACKED), int(Kind.CLOCK_TICKED)
NODE_SET, LANE_SET = int(Kind.NODE_SET), int(Kind.LANE_SET)
CAPACITY_SET = int(Kind.CAPACITY_SET)
REVIEW_DECIDED, REROUTE_REQUESTED = int(Kind.REVIEW_DECIDED), int(Kind.REROUTE_REQUESTED)
PLAN_PROPOSED = int(Kind.PLAN_PROPOSED)

OFFERED, ACCEPTED, PICKED, PACKED = (int(s) for s in Stage)
RECALL_NOTHING, RECALL_STOCK, RECALL_NODE, RECALL_LANE, RECALL_DAYS, RECALL_ANSWERS = (
    int(r) for r in Recall
)

UNKNOWN, CANCELLED_EARLY, HELD, OPEN, CLOSED, FORGOTTEN = (int(s) for s in OrderState)
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
E_PAYMENT, E_VOID = int(ExceptionCode.PAYMENT_HOLD), int(ExceptionCode.PLAN_VOID)
E_DELAY = int(ExceptionCode.DELAY_PREDICTED)
T_NEW, T_REJECTED, T_TIMEOUT = (
    int(Trigger.NEW_ORDER),
    int(Trigger.R_REJECTED),
    int(Trigger.R_TIMEOUT),
)
T_SHORT, T_CUSTOMER = int(Trigger.R_SHORT_PICK), int(Trigger.R_CUSTOMER_CHANGE)
T_ARRIVED, T_PAYMENT = int(Trigger.STOCK_ARRIVED), int(Trigger.PAYMENT)
T_STOCK, T_CARRIER = int(Trigger.R_STOCK_CORRECTION), int(Trigger.R_CARRIER_FAIL)
T_CLOSED, T_CAPACITY = int(Trigger.NODE_CLOSED), int(Trigger.CAPACITY_CUT)
T_OPERATOR, T_BETTER = int(Trigger.R_OPERATOR), int(Trigger.R_BETTER_PLAN)
NO_HOLD, AWAITING_PAYMENT = int(HoldReason.NONE), int(HoldReason.AWAITING_PAYMENT)
REPEATED_REJECTION = int(HoldReason.REPEATED_REJECTION)
_VERDICTS = list(Verdict)
V_ROUTE, V_ASSIGN, V_CANCEL = (
    _VERDICTS.index(Verdict.ROUTE),
    _VERDICTS.index(Verdict.ASSIGN),
    _VERDICTS.index(Verdict.CANCEL),
)
_PAYMENTS = list(PaymentState)
PENDING, AUTHORISED, FAILED = (
    _PAYMENTS.index(PaymentState.PENDING),
    _PAYMENTS.index(PaymentState.AUTHORISED),
    _PAYMENTS.index(PaymentState.FAILED),
)
(
    F_REGION, F_REVISION, F_CHANNEL, F_PRIORITY, F_NO_SPLIT, F_PAYMENT, F_REQUESTED, F_CARRIER,
    F_SERVICE, F_CUSTOMER, F_NODE, F_NAME, F_FLAG, F_REQUESTED_FROM, F_TIER, F_VALUE, F_DECISION,
    F_WISH, F_CURRENCY, F_WANTS, F_TOKEN,
) = (int(f) for f in Field)  # fmt: skip
(
    C_RECORD, C_EFFECTS, C_STARTED, C_AGENDA_NEXT, C_AGENDA_END, C_PRIORITY, C_WAITING, C_WANTED,
    C_PIECES, C_PACKAGES, _, C_SWEEP, C_AGAIN, C_RECALL, C_RECALL_OF, C_RECALL_NEXT, C_RECALL_END,
    C_PROPOSAL, C_LATE, C_PARCELS, C_NOW, C_LATEST,
) = (int(c) for c in Cursor)  # fmt: skip
(
    N_LINES, N_ALLOCATIONS, _, N_SUPPLIES, N_CLOCK, N_PUBLISHED, N_ASSUMED, _, _, N_SERIAL, N_CHECKED,
) = (int(c) for c in Count)  # fmt: skip
DONE, WANTS_SCORES, OUT_OF_ROOM, OUT_OF_LINES, PUBLISH = (int(s) for s in Stop)

HAZMAT_BIT = 1 << len(TempClass)
FEASIBLE = int(Exclusion.FEASIBLE)
X_NO_STOCK, X_SAFETY_STOCK = int(Exclusion.X_NO_STOCK), int(Exclusion.X_SAFETY_STOCK)
X_CAPACITY, X_CUTOFF = int(Exclusion.X_CAPACITY), int(Exclusion.X_CUTOFF)
X_DISTANCE, X_LANE_UNSERVED = int(Exclusion.X_DISTANCE), int(Exclusion.X_LANE_UNSERVED)
X_TEMP_CLASS, X_HAZMAT = int(Exclusion.X_TEMP_CLASS), int(Exclusion.X_HAZMAT)
X_BLOCKED, X_CUSTOMER = int(Exclusion.X_BLOCKED_REJECTER), int(Exclusion.X_CUSTOMER)
X_WEIGHT_BAND, X_CLOSED = int(Exclusion.X_WEIGHT_BAND), int(Exclusion.X_CLOSED)
X_CARRIER_DOWN, X_NOT_PINNED = int(Exclusion.X_CARRIER_DOWN), int(Exclusion.X_NOT_PINNED)
P50, P90, LATE_Q, HANDLING_Q = (int(q) for q in Quantity)
