"""Seeded journeys of parcels: what was known of each at some moments of its way, and when it arrived.

The arrival model is trained on these and on nothing else. A *network* is a carrier's business: minutes across
a city or weeks across an ocean, closed at weekends or not, with scans and positions or with neither. It has
lanes, and a lane has journeys, one after another, so what is known of a lane grows as it does in earnest.
A moment is drawn without regard to when the parcel will arrive, and dropped if it has arrived by then; some are
drawn as a stage begins, where carriers say so.

Every constant here is assumed, and wide rather than typical: what matters is that real networks lie among the
drawn ones.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.intake.columns import NO_TIME
from models.tracking.features import Group
from models.tracking.lanes import HOUR_US, LONGEST, SHORTEST

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
JOURNEYS = 300  # of a network; its busiest lanes reach the bound of a history
MOST_LANES = 60
START_HOURS = 420_768  # 2018-01-01, a Monday; any would do
MOST_SCANS = 12
EPOCHS = 30  # stretches of time in which a network is slower or faster than usual
LATER_MOMENTS = 2  # per journey, at times that are spread over it and beyond


@dataclass(frozen=True, eq=False)
class Journeys:
    """Columns of the ``n`` journeys of one network. Instants are us since 1970."""

    lane: Ints
    planned: Ints  # hand-over, by plan; ``NO_TIME``: none
    handed_over: Ints
    delivered: Ints
    promise: Ints  # the date told; ``NO_TIME``: none


@dataclass(frozen=True, eq=False)
class Moments:
    """Columns of what was known at a moment, in the order of time."""

    journey: Ints  # row of ``Journeys``
    clock: Ints
    group: Ints  # ``Group``
    heard: Ints  # when the last news of it happened
    located: Ints  # when its position was known last; ``NO_TIME``: never
    progress: Floats  # share of the way then; NaN: unknown
    late: Floats  # probability, of the router's decision; NaN: none


@dataclass(frozen=True)
class _Carrier:
    """What is the same for all lanes of a network."""

    week: float  # working hours of 168
    delivers_at_weekends: bool
    zone: float  # hours from UTC
    scans: int  # 0: nothing is heard between hand-over and delivery
    has_positions: bool
    has_customs: bool


@dataclass(frozen=True, eq=False)
class _Ways:
    """How each journey goes, in working hours since hand-over."""

    usual: Floats  # median of the lane, from hand-over to the door
    foreseen: Floats  # median of this journey, as the shop knows it
    moving: Floats  # on the road, apart from what follows
    customs_at: Floats  # on the way, and how long
    customs: Floats
    stuck_at: Floats
    stuck: Floats
    out: Floats  # from leaving the last depot to the door
    door: Floats  # from a failed attempt, or from waiting to be picked up, to delivery

    @property
    def out_at(self) -> Floats:
        """When it leaves the last depot."""
        return self.moving + self.customs + self.stuck

    @property
    def door_at(self) -> Floats:
        """When it is at the door first."""
        return self.out_at + self.out

    @property
    def end(self) -> Floats:
        """When it is delivered."""
        return self.door_at + self.door

    @property
    def customs_from(self) -> Floats:
        """When it comes to customs."""
        return self.customs_at + np.where(self.stuck_at < self.customs_at, self.stuck, 0)

    @property
    def stuck_from(self) -> Floats:
        """When it gets stuck."""
        return self.stuck_at + np.where(self.customs_at <= self.stuck_at, self.customs, 0)


def draw_network(generator: np.random.Generator) -> tuple[Journeys, Moments]:
    """Draw one network with its journeys; the same generator state gives the same columns."""
    carrier = _Carrier(
        week=float(generator.choice([168, 144, 120], p=[0.4, 0.15, 0.45])),
        delivers_at_weekends=bool(generator.random() < 0.7),
        zone=float(generator.uniform(-10, 10)),
        scans=int(generator.choice([0, 3, 6, MOST_SCANS], p=[0.35, 0.2, 0.25, 0.2])),
        has_positions=bool(generator.random() < 0.4),
        has_customs=bool(generator.random() < 0.25),
    )
    typical = np.exp(generator.uniform(np.log(1.5), np.log(900)))
    lanes = int(np.exp(generator.uniform(0, np.log(MOST_LANES))))
    share = 1 / np.arange(1, lanes + 1)
    n = JOURNEYS
    lane = generator.choice(lanes, size=n, p=share / share.sum())
    span = typical * np.exp(generator.uniform(np.log(10), np.log(400)))
    planned = START_HOURS + generator.uniform(0, 168) + generator.uniform(0, span, n)
    epoch = ((planned - planned.min()) / span * EPOCHS).astype(np.int64).clip(0, EPOCHS - 1)
    pace = np.cumsum(generator.normal(0, generator.uniform(0, 0.1), EPOCHS))[epoch]
    ways = _draw_ways(typical, lanes, lane, pace, carrier, generator)
    is_prompt = generator.random(n) < 0.5
    lag = 0.15 * ways.usual * generator.standard_normal(n)
    handed_over = planned + np.where(is_prompt, 0, np.maximum(lag, -0.2 * ways.usual))
    delivered = _deliver(handed_over, ways, carrier, generator)
    promise = _draw_promises(handed_over, ways, carrier, generator)
    journeys = Journeys(
        lane, _instants(planned), _instants(handed_over), _instants(delivered), _instants(promise)
    )
    late = _foresee_late(handed_over, promise, ways, generator)
    moments = _draw_moments(planned, handed_over, delivered, ways, late, carrier, generator)
    return journeys, moments


def _draw_ways(
    typical: float,
    lanes: int,
    lane: Ints,
    pace: Floats,
    carrier: _Carrier,
    generator: np.random.Generator,
) -> _Ways:
    """Ways that take longer where ``pace`` (ln) says so, with what may happen on them."""
    n = len(lane)
    usual, foreseen, noise = _draw_medians(typical, lanes, lane, generator)
    whole = foreseen * np.exp(noise + pace)
    is_long = usual > 20
    out = np.where(
        is_long,
        np.minimum(7 * np.exp(generator.normal(0, 0.5, n)), 0.4 * whole),
        generator.uniform(0.15, 0.45, n) * whole,
    )
    moving = whole - out
    customs = usual * np.exp(generator.normal(-2, 0.6, n))
    customs *= np.where(generator.random(n) < 0.1, 5, 1)  # held
    has_customs = (generator.random(lanes) < 0.5)[lane] & carrier.has_customs
    stuck = usual * np.exp(generator.normal(-0.4, 0.8, n))
    wait = np.where(is_long, 24.0, 0.5 * usual) * np.exp(generator.normal(0, 0.7, n))
    return _Ways(
        usual,
        foreseen,
        moving,
        moving * generator.uniform(0.3, 0.9, n),
        np.where(has_customs, customs, 0),
        moving * generator.random(n),
        np.where(generator.random(n) < 0.05, stuck, 0),
        out,
        np.where(generator.random(n) < 0.1, wait, 0),
    )


def _draw_medians(
    typical: float, lanes: int, lane: Ints, generator: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Medians of each journey's lane and of the journey as the shop knows it; what it cannot know, in ln."""
    n = len(lane)
    usual = typical * np.exp(generator.normal(0, generator.uniform(0.1, 1), lanes))[lane]
    usual = usual.clip(20 * SHORTEST, LONGEST / 8)
    spread = np.exp(generator.uniform(np.log(0.12), np.log(0.9), lanes))[lane]
    explained = generator.uniform(0, 0.98)  # root of the share of the spread that the shop knows of
    own = explained * generator.standard_normal(n)
    noise = np.sqrt(1 - explained**2) * generator.standard_normal(n)
    return usual, usual * np.exp(spread * own), spread * noise


def _draw_promises(
    handed_over: Floats, ways: _Ways, carrier: _Carrier, generator: np.random.Generator
) -> Floats:
    """Dates told, from next to nothing known of the lane to all that the shop can know; or none."""
    n = len(handed_over)
    if generator.random() < 0.2:
        return np.full(n, np.nan)
    margin = generator.normal(0.44, 0.6)
    scatter = np.exp(generator.uniform(np.log(0.02), np.log(0.8)))
    skill = generator.random()
    told = ways.usual ** (1 - skill) * ways.foreseen**skill
    hours = told * np.exp(margin + scatter * generator.standard_normal(n))
    promise = _after(handed_over, hours, carrier)
    by_day = generator.random() < 0.5 and np.median(ways.usual) > 24
    if by_day:  # the end of the day there
        promise = np.ceil((promise + carrier.zone) / 24) * 24 - carrier.zone
    return np.where(generator.random(n) < 0.05, np.nan, promise)


def _deliver(
    handed_over: Floats, ways: _Ways, carrier: _Carrier, generator: np.random.Generator
) -> Floats:
    """When each is delivered, by what is written down: in one network of four a part is closed late.

    Some carriers drive at weekends and yet deliver on the Monday after.
    """
    n = len(handed_over)
    delivered = _after(handed_over, ways.end, carrier)
    if generator.random() < 0.25:
        forgotten = generator.random(n) < generator.uniform(0.02, 0.3)
        extra = ways.usual * np.exp(generator.normal(0, 1, n))
        delivered = delivered + np.where(forgotten, extra, 0)
    if not carrier.delivers_at_weekends:
        since = (delivered - _monday(carrier)) % 168
        monday = delivered - since + 168 + generator.uniform(8, 18, n)
        delivered = np.where(since >= 120, monday, delivered)
    return np.asarray(delivered, np.float64)


def _foresee_late(
    handed_over: Floats, promise: Floats, ways: _Ways, generator: np.random.Generator
) -> Floats:
    """What the router thought of it; NaN where it did not, as in most networks."""
    if generator.random() < 0.7:
        return np.full(len(promise), np.nan)
    margin = np.log(np.maximum(promise - handed_over, SHORTEST) / ways.foreseen)
    logit = -3.4 * margin + generator.normal(0, 0.5, len(promise))
    return np.asarray(1 / (1 + np.exp(-logit)), np.float64)


def _draw_moments(
    planned: Floats,
    handed_over: Floats,
    delivered: Floats,
    ways: _Ways,
    late: Floats,
    carrier: _Carrier,
    generator: np.random.Generator,
) -> Moments:
    n = len(planned)
    every = np.arange(n)
    is_asked = generator.random(n) < 0.5  # half before the hand-over, half at it
    wait = ways.usual * generator.uniform(-0.3, 0.6, n)
    later = [
        handed_over + ways.usual * np.exp(generator.uniform(np.log(0.03), np.log(4), n))
        for _ in range(LATER_MOMENTS)
    ]
    before = np.minimum(planned, handed_over) - wait
    clocks = [np.where(is_asked, before, handed_over), *later]
    if carrier.scans > 0:  # else nobody knows of a stage
        clocks += [_after(handed_over, at, carrier) for at in _draw_stage_moments(ways, generator)]
    clock, journey = np.concatenate(clocks), np.tile(every, len(clocks))
    kept = (clock < delivered[journey]) & ~np.isnan(clock)
    clock, journey = clock[kept], journey[kept]
    order = np.lexsort((journey, clock))
    clock, journey = clock[order], journey[order]
    is_before = clock < handed_over[journey]
    heard = _last_heard(clock, journey, handed_over, ways, carrier, generator)
    located, progress = _locate(clock, journey, handed_over, ways, carrier, generator)
    return Moments(
        journey,
        _instants(clock),
        np.where(is_before, Group.BEFORE, _groups(clock, journey, handed_over, ways, carrier)),
        _instants(np.where(is_before, clock - 0.2 * ways.usual[journey], heard)),
        _instants(np.where(is_before, np.nan, located)),
        np.where(is_before, np.nan, progress),
        late[journey],
    )


def _draw_stage_moments(ways: _Ways, generator: np.random.Generator) -> list[Floats]:
    """Working hours since hand-over: as each stage begins or a while later; NaN: it is over by then."""
    n = len(ways.usual)
    stages = [
        (ways.customs_from, ways.customs, 0.15 * ways.usual),
        (ways.out_at, ways.out, np.minimum(7, 0.3 * ways.usual)),
        (ways.door_at, ways.door, 0.3 * ways.usual),
    ]
    moments = []
    for start, length, usual in stages:
        since = np.where(generator.random(n) < 0.5, 0, usual * generator.exponential(1, n))
        moments.append(np.where(since < length, start + since, np.nan))
    return moments


def _groups(
    clock: Floats, journey: Ints, handed_over: Floats, ways: _Ways, carrier: _Carrier
) -> Ints:
    group = np.full(len(clock), int(Group.MOVING))
    if carrier.scans == 0:
        return group
    passed = _worked(handed_over[journey], clock, carrier)
    customs_from = ways.customs_from[journey]
    group[(passed >= customs_from) & (passed < customs_from + ways.customs[journey])] = (
        Group.CUSTOMS
    )
    group[passed >= ways.out_at[journey]] = Group.OUT
    group[passed >= ways.door_at[journey]] = Group.DOOR
    return group


def _last_heard(
    clock: Floats,
    journey: Ints,
    handed_over: Floats,
    ways: _Ways,
    carrier: _Carrier,
    generator: np.random.Generator,
) -> Floats:
    """Hand-over, a scan on the way or the beginning of a stage, whichever was last."""
    n = len(handed_over)
    heard = handed_over[journey]
    if carrier.scans == 0:
        return heard
    jitter = generator.random((carrier.scans, n))
    steps = [(k + jitter[k]) / (carrier.scans + 1) * ways.moving for k in range(carrier.scans)]
    events = [_with_stops(step, ways) for step in steps]
    events += [ways.customs_from, ways.out_at, ways.door_at]
    for event in events:
        at = _after(handed_over, event, carrier)[journey]
        heard = np.where(at <= clock, np.maximum(heard, at), heard)
    return heard


def _with_stops(moving: Floats, ways: _Ways) -> Floats:
    """Working hours since hand-over by which a parcel has been moving for so long."""
    customs = np.where(moving > ways.customs_at, ways.customs, 0)
    return np.asarray(moving + customs + np.where(moving > ways.stuck_at, ways.stuck, 0))


def _locate(
    clock: Floats,
    journey: Ints,
    handed_over: Floats,
    ways: _Ways,
    carrier: _Carrier,
    generator: np.random.Generator,
) -> tuple[Floats, Floats]:
    """When it was last located, and the share of its way that was done then; NaN: never."""
    n = len(clock)
    curve = np.exp(generator.normal(0, 0.2, len(handed_over)))[journey]
    age = generator.exponential(0.04, n) * ways.usual[journey]
    noise = generator.normal(0, 0.01, n)
    located = clock - age
    passed = _worked(handed_over[journey], located, carrier)
    customs = (passed - ways.customs_from[journey]).clip(0, ways.customs[journey])
    stuck = (passed - ways.stuck_from[journey]).clip(0, ways.stuck[journey])
    driven = passed - customs - stuck
    share = (driven / (ways.moving + ways.out)[journey]).clip(0, 1)
    progress = (share**curve + noise).clip(0, 1)
    known_from = handed_over[journey]
    is_known = carrier.has_positions & (located >= known_from)
    return np.where(is_known, located, np.nan), np.where(is_known, progress, np.nan)


def _after(start: Floats, hours: Floats, carrier: _Carrier) -> Floats:
    """The instant (hours since 1970) by which so many working hours have passed."""
    work = _work_up_to(start, carrier) + hours
    weeks = np.floor(work / carrier.week)
    return np.asarray(168 * weeks + (work - carrier.week * weeks) + _monday(carrier))


def _worked(start: Floats, end: Floats, carrier: _Carrier) -> Floats:
    """Working hours between two instants."""
    return np.maximum(0, _work_up_to(end, carrier) - _work_up_to(start, carrier))


def _work_up_to(at: Floats, carrier: _Carrier) -> Floats:
    since = at - _monday(carrier)
    weeks = np.floor(since / 168)
    return np.asarray(weeks * carrier.week + np.minimum(since - 168 * weeks, carrier.week))


def _monday(carrier: _Carrier) -> float:
    """A Monday's midnight there, in hours since 1970."""
    return START_HOURS - carrier.zone


def _instants(hours: Floats) -> Ints:
    is_known = ~np.isnan(hours)
    return np.where(is_known, np.round(np.where(is_known, hours, 0) * HOUR_US), NO_TIME).astype(
        np.int64
    )
