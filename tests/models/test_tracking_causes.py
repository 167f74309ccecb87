"""One exception for each cause: the same deviation of two parcels, or of two nodes, is two."""

import json
from collections.abc import Iterable

from models.intake.columns import NO_TIME
from models.policy.document import parse_policy
from schemas.envelope import Event
from schemas.tables import Table
from tests.support.devices import bound, series
from tests.support.tracks import Tracked, decided, moment, offered, ordered, step, tick, track

PROMISED = [ordered(0, price=10_000), decided(0)]


def changes(tracked: Tracked) -> list[tuple[str, str, str | None]]:
    """Code, change, and what it is about, of every exception."""
    rows = tracked.rows(Table.EXCEPTIONS)
    return [(row["code"], row["change"], row["package"] or row["node"]) for row in rows]


def asked(tracked: Tracked, action: str) -> list[tuple[str, str | None]]:
    """Of which exceptions, and about what, an action was asked for."""
    rows = [row for row in tracked.rows(Table.ACTIONS) if row["action"] == action]
    return [(row["code"], row["package"] or row["node"]) for row in rows]


def alerts(tracked: Tracked) -> list[str]:
    """What operators were alerted about."""
    rows = [row for row in tracked.rows(Table.OUTBOX) if row["template"] == "ALERT"]
    details = [json.loads(row["details"]) for row in rows]
    return [found.get("package") or found["node"] for found in details]


def work(*nodes: tuple[str, str]) -> list[Event]:
    """An order of which each node has to ship a part on a day."""
    return [
        *PROMISED,
        *(offered(0, n, qty=1, ship_date=day, cause=k) for k, (n, day) in enumerate(nodes)),
    ]


def on_the_road(*more: Event) -> list[Event]:
    """Two parcels that were handed over, and what became of them."""
    sent = [step("handed_over", 1 + n / 10, package=p) for n, p in enumerate(("p1", "p2"))]
    return [*PROMISED, *sent, *more]


def warm(device: str, begin: float) -> Iterable[Event]:
    """Three hours in which a logger finds it too warm."""
    return series([12.0] * 37, device=device, begin=begin)


MISSED = "MILESTONE_MISSED_HANDOVER"


def test_each_node_that_misses_its_hand_over_is_asked_about_by_itself() -> None:
    tracked = track([*work(("A", "2026-01-05"), ("B", "2026-01-05")), tick(22)])

    both = [(MISSED, "A"), (MISSED, "B")]
    assert changes(tracked) == [(code, "raised", node) for code, node in both]
    assert asked(tracked, "REROUTE") == both
    assert alerts(tracked) == ["A", "B"]
    ids = [row["record_id"] for row in tracked.rows(Table.ACTIONS)]
    assert len(set(ids)) == 2


def test_a_node_that_misses_its_hand_over_later_is_asked_about_then() -> None:
    tracked = track([*work(("A", "2026-01-05"), ("B", "2026-01-06")), tick(22), tick(47)])

    assert asked(tracked, "REROUTE") == [(MISSED, "A"), (MISSED, "B")]
    assert [row["position"] for row in tracked.rows(Table.ACTIONS)] == [4, 5]


def test_what_one_node_missed_ends_by_itself() -> None:
    begun = [*work(("A", "2026-01-05"), ("B", "2026-01-05")), tick(22)]
    moved = offered(23, "A", qty=1, withdrawn=True, cause=5)

    tracked = track([*begun, moved, tick(24), step("handed_over", 25, node="B"), tick(26)])

    assert [what for what in changes(tracked) if what[0] == MISSED][2:] == [
        (MISSED, "resolved", "A"),
        (MISSED, "resolved", "B"),
    ]
    assert len(asked(tracked, "REROUTE")) == 2


def test_every_parcel_that_is_lost_is_for_a_person() -> None:
    lost = [step("lost", 5, package="p1"), step("lost", 30, package="p2")]
    found = step("scanned", 31, package="p1")

    tracked = track(on_the_road(*lost, found))

    assert changes(tracked) == [
        ("LOST", "raised", "p1"),
        ("LOST", "raised", "p2"),
        ("LOST", "resolved", "p1"),
    ]
    assert asked(tracked, "REVIEW") == [("LOST", "p1"), ("LOST", "p2")]
    assert alerts(tracked) == ["p1", "p2"]


def test_every_parcel_that_gets_warm_is_told_and_the_amount_is_offered_once() -> None:
    loggers = [bound(1.2, device=f"l-{p}", package=p) for p in ("p1", "p2")]

    tracked = track(on_the_road(*loggers, *warm("l-p1", 2), *warm("l-p2", 20)))

    worse = "TEMP_EXCURSION_MINOR", "TEMP_EXCURSION_MAJOR"
    assert changes(tracked) == [
        what
        for package in ("p1", "p2")
        for what in (
            (worse[0], "raised", package),
            (worse[0], "resolved", package),
            (worse[1], "raised", package),
        )
    ]
    assert asked(tracked, "REVIEW") == [(worse[1], "p1"), (worse[1], "p2")]
    assert asked(tracked, "COMPENSATE") == [(worse[1], "p1")]
    told = [r["package"] for r in tracked.rows(Table.OUTBOX) if r["template"] == "EXCURSION"]
    assert told == ["p1", "p2"]


def test_two_loggers_of_one_parcel_find_one_excursion() -> None:
    loggers = [bound(1.2, device=f"l-{n}", package="p1") for n in range(2)]

    tracked = track(on_the_road(*loggers, *warm("l-0", 2), *warm("l-1", 2.01)))

    assert [change for code, change, _ in changes(tracked) if code.endswith("MAJOR")] == ["raised"]


def test_a_third_attempt_is_escalated_for_its_parcel_alone() -> None:
    tries = [step("attempt_failed", 5 + n, package="p1") for n in range(3)]

    tracked = track(on_the_road(step("attempt_failed", 4, package="p2"), *tries))

    assert changes(tracked) == [
        ("ATTEMPT_FAILED", "raised", "p2"),
        ("ATTEMPT_FAILED", "raised", "p1"),
        ("ATTEMPT_FAILED", "escalated", "p1"),
    ]
    severities = [row["severity"] for row in tracked.rows(Table.EXCEPTIONS)]
    assert severities == ["warn", "warn", "high"]


def test_all_is_well_again_only_when_nothing_of_the_kind_is_left() -> None:
    told_all = parse_policy(
        "version: all\nnotifications:\n  exceptions:\n"
        "    CUSTOMS_HOLD: [{to: customer, template: CUSTOMS}]\n",
        "all",
    )
    held = [step("customs_held", 5, package=package) for package in ("p1", "p2")]
    freed = [step("customs_cleared", 9 + n, package=p) for n, p in enumerate(("p1", "p2"))]

    told = {
        n: [row["template"] for row in track(on_the_road(*held, *freed[:n]), policy=told_all).rows(
            Table.OUTBOX
        )].count("RESOLVED")
        for n in range(3)
    }  # fmt: skip

    assert told == {0: 0, 1: 0, 2: 1}


def test_a_crowd_of_causes_is_raised_on_one_tick_and_ends_with_one_decision() -> None:
    nodes = [f"n{n:03d}" for n in range(150)]
    begun = work(*((node, "2026-01-05") for node in nodes))

    tracked = track([*begun, tick(22), decided(23, outcome="CANCELLED", cause=999), tick(24)])

    missed = [(change, node) for code, change, node in changes(tracked) if code == MISSED]
    assert sorted(missed) == sorted((c, n) for c in ("raised", "resolved") for n in nodes)
    assert int(tracked.state.orders["standing"][0]) == -1


def test_causes_that_ended_leave_no_room_taken() -> None:
    back_and_forth = [
        step(what, 5 + n, package="p1") for n in range(40) for what in (("lost", "scanned")[n % 2],)
    ]

    tracked = track(on_the_road(*back_and_forth))

    assert len(changes(tracked)) == 40
    used, kept = int(tracked.state.cursor[4]), int(tracked.state.orders["entries"][0])
    assert used <= kept + 1


# Silence ------------------------------------------------------------------------------------------


def scans(package: str, days: int) -> list[Event]:
    """A scan of a parcel each day, and a tick with it."""
    return [
        event
        for day in range(1, days + 1)
        for event in (step("scanned", 24.0 * day, package=package), tick(24.0 * day + 1.5))
    ]


def test_a_carrier_is_silent_of_one_parcel_while_another_is_scanned_each_day() -> None:
    tracked = track(on_the_road(*scans("p2", 33)))

    assert changes(tracked) == [("SILENCE", "raised", "p1"), ("EXPIRED", "raised", "p1")]
    assert asked(tracked, "REVIEW") == [("EXPIRED", "p1")]
    (order,) = tracked.state.orders[:1]
    assert order["closed_at"] == NO_TIME, "one parcel is still on its way"


def test_an_order_is_over_when_all_its_parcels_are_given_up() -> None:
    tracked = track(on_the_road(*scans("p2", 3), tick(24 * 34)))

    assert sorted(changes(tracked)) == [
        (code, "raised", package) for code in ("EXPIRED", "SILENCE") for package in ("p1", "p2")
    ]
    (order,) = tracked.state.orders[:1]
    assert order["closed_at"] == moment(24.0 * 33).timestamp() * 1_000_000


def test_a_parcel_is_missed_though_the_rest_has_not_left_its_node() -> None:
    sent = [*work(("A", "2026-01-05"), ("B", "2026-01-09")), step("handed_over", 5, node="A")]

    tracked = track([*sent, tick(5 + 71), tick(5 + 72)])

    assert changes(tracked) == [("SILENCE", "raised", "1")]


def test_news_of_the_order_is_no_word_of_its_parcel() -> None:
    tracked = track([step("handed_over", 1), decided(60, promise=900, cause=1), tick(73)])

    assert changes(tracked) == [("SILENCE", "raised", "1")]
    late = track([step("handed_over", 1), step("scanned", 60), tick(73), tick(131)])
    assert changes(late) == []
