"""Tracking records with defaults, and the tracking fold driven over them without any flow.

Times are hours after ``START``. Every record passes through the codec.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from models.policy.document import Policy
from models.tracking.fold import advance
from models.tracking.scoring import ScorerOf, no_models
from models.tracking.state import TrackState
from schemas import control, decisions, orders, shipments, work
from schemas.codec import Refusal, decode_line, encode_event, to_slice
from schemas.codes import Classifier, Milestone, ModelOf, Trouble
from schemas.envelope import Event
from schemas.slices import Slice
from schemas.tables import Effects, Table, to_tables
from tests.support.builders import START, Row

JOURNAL = "crossdock-route/log"


def moment(hours: float) -> datetime:
    """An instant so many hours after ``START``."""
    return START + timedelta(hours=hours)


@dataclass(frozen=True)
class Said:
    """The envelope of a record apart from its subject.

    Attributes:
        at: when it happened, hours.
        event_id: unique for the source; empty: made from kind, subject and time.
        source: who says so.
    """

    at: float = 0.0
    event_id: str = ""
    source: str = "carrier"

    def envelope(self, subject: str, what: str) -> dict[str, Any]:
        """Attributes of the event."""
        return {
            "id": self.event_id or f"{what}-{subject}-{self.at}",
            "source": self.source,
            "subject": subject,
            "time": moment(self.at),
            "tenant": "acme",
            "network": "eu",
        }


def step(
    milestone: Milestone | str,
    at: float,
    order: str = "o1",
    *,
    package: str = "1",
    node: str = "",
    planned: float | None = None,
    classifier: Classifier = Classifier.ACTUAL,
    retracts: str = "",
    reason: Trouble = Trouble.NONE,
    carrier: str = "",
    event_id: str = "",
) -> Event:
    """A milestone of a parcel; ``planned`` makes it a planned one."""
    if planned is not None and classifier is Classifier.ACTUAL:
        classifier = Classifier.PLANNED
    data = shipments.ShipmentStep(
        milestone=Milestone(milestone),
        classifier=classifier,
        at=None if planned is None else moment(planned),
        package=package,
        node=node,
        carrier=carrier,
        reason=reason,
        retracts=retracts,
    )
    what = f"{Milestone(milestone)}-{classifier}-{package}"
    return shipments.ShipmentMilestone(**Said(at, event_id).envelope(order, what), data=data)


def ordered(
    at: float, order: str = "o1", *, revision: int = 1, installation: bool = False,
    acceptance: bool = False, customer: str = "c-1", tier: str = "standard", price: int = 0,
) -> Event:  # fmt: skip
    """A customer orders two units."""
    data = orders.Order(
        region="R",
        lines=[orders.OrderLine(line_no=1, sku="S1", qty=2, unit_price_minor=price)],
        revision=revision,
        customer=customer,
        tier=tier,
        installation=installation,
        acceptance=acceptance,
    )
    return orders.OrderReceived(**Said(at, source="shop").envelope(order, "order"), data=data)


def decided(
    at: float, order: str = "o1", *, outcome: str = "FULLY_ROUTED", promise: float | None = None,
    cause: int = 0, **says: Any,
) -> Event:  # fmt: skip
    """What the router decided; ``says`` are other fields of it."""
    told = None if promise is None else moment(promise)
    data = decisions.Decision(
        outcome=outcome, latest_commit_at=told, original_commit_at=told, **says
    )
    said = Said(at, f"0/{cause}/0", JOURNAL)
    return decisions.DecisionRouted(**said.envelope(order, ""), data=data)


def offered(
    at: float, node: str, order: str = "o1", *, qty: int = 2, ship_date: str | None = None,
    ship_by: float | None = None, cause: int = 0, withdrawn: bool = False, lane: str | None = None,
) -> Event:  # fmt: skip
    """Work that a node is to do, or not any more."""
    line = decisions.OfferedLine(line_no=1, sku="S1", qty=qty)
    data = decisions.OfferedWork(
        node=node,
        lines=[line],
        ship_date=ship_date,
        ship_by_at=None if ship_by is None else moment(ship_by),
        lane_id=lane,
    )
    said = Said(at, f"0/{cause}/{1 + withdrawn}-{node}"[:40].replace("-" + node, ""), JOURNAL)
    cls = decisions.WorkWithdrawn if withdrawn else decisions.WorkOffered
    return cls(**said.envelope(order, ""), data=data)


def answered(cls: type[Event], at: float, node: str, order: str = "o1", *, qty: int = 0) -> Event:
    """What a node says of its work: of all of it, or of so many units."""
    what = cls.__name__ + node
    lines = [work.WorkLine(line_no=1, qty=qty)] if qty else []
    data = work.Work(node=node, lines=lines)
    return cls(**Said(at, source="wms").envelope(order, what), data=data)  # type: ignore[call-arg]


def served(cls: type[Event], at: float, order: str = "o1", *, fixed: bool = True) -> Event:
    """Work at the customer's place."""
    said = Said(at, source="service")
    return cls(**said.envelope(order, cls.__name__), data=shipments.Service(fixed=fixed))  # type: ignore[call-arg]


def feedback(
    at: float, order: str = "o1", *, nps: int | None = None, csat: int | None = None
) -> Event:
    """What the customer thinks."""
    data = shipments.Feedback(nps=nps, csat=csat)
    said = Said(at, source="survey")
    return shipments.FeedbackReceived(**said.envelope(order, "feedback"), data=data)


def policy(document: str, version: str) -> Event:
    """Other deadlines from here on."""
    said = Said(event_id=f"policy-{version}", source="console")
    data = control.PolicyActivation(document=document)
    return control.PolicyActivated(**said.envelope(version, "policy"), data=data)


def activated(sha256: str, at: float = 0.0, of: ModelOf = ModelOf.ARRIVAL) -> Event:
    """A model scores from here on."""
    said = Said(at, source="console")
    data = control.ModelActivation(sha256=sha256, of=of)
    return control.ModelActivated(**said.envelope("model", f"model-{sha256}"), data=data)


def tick(at: float) -> Event:
    """Time has passed."""
    said = Said(at, source="ingest")
    return control.ClockTicked(**said.envelope("ingest", "tick"), data=control.Tick(at=moment(at)))


def tracking_log(events: Sequence[Event]) -> Slice:
    """The records as the log has them."""
    passed = [decode_line(encode_event(event), 1) for event in events]
    wrong = [event for event in passed if isinstance(event, Refusal)]
    assert not wrong, wrong[0].detail
    return to_slice([event for event in passed if not isinstance(event, Refusal)], 0, 0)


@dataclass
class Tracked:
    """What came of some records."""

    state: TrackState
    effects: list[Effects] = field(default_factory=list)

    def rows(self, table: Table) -> list[Row]:
        """Rows of a table, without the columns that are null in all of them."""
        found = to_tables(self.effects).get(table)
        return found.to_pylist() if found is not None else []

    def phase(self, order: str = "o1") -> str:
        """Where an order stands, by the newest row about it."""
        rows = [row for row in self.rows(Table.TIMELINE) if row["order_id"] == order]
        return str(rows[-1]["phase"])

    def exceptions(self, order: str = "o1") -> list[tuple[str, str]]:
        """Code and change of every exception of an order, in order."""
        rows = [row for row in self.rows(Table.EXCEPTIONS) if row["order_id"] == order]
        return [(row["code"], row["change"]) for row in rows]


def track(
    events: Iterable[Event],
    cuts: Sequence[int] = (),
    policy: Policy | None = None,
    scorer_of: ScorerOf = no_models,
) -> Tracked:
    """Run the fold over the records, cut at these rows."""
    piece = tracking_log(list(events))
    tracked = Tracked(TrackState(0, policy))
    borders = [0, *cuts, len(piece)]
    for start, stop in itertools.pairwise(borders):
        tracked.effects.append(advance(tracked.state, piece.cut(start, stop), scorer_of))
    return tracked


def renamed(event: Event, event_id: str) -> Event:
    """The same by another id."""
    return msgspec.structs.replace(event, id=event_id)
