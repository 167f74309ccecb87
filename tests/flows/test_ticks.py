"""Ticks of an import."""

from datetime import UTC, datetime, timedelta, timezone

from flows.ticks import with_ticks
from schemas.control import ClockTicked
from schemas.envelope import Event
from schemas.orders import Cancellation, OrderCancelled

NINE = datetime(2011, 3, 1, 9, 0, tzinfo=UTC)


def record(name: str, at: datetime, recorded: datetime | None = None) -> Event:
    return OrderCancelled(
        id=name,
        source="shop",
        subject=name,
        time=at,
        recordedtime=recorded,
        tenant="t",
        network="n",
        data=Cancellation(),
    )


def ticked(*events: Event) -> list[Event]:
    return list(with_ticks(events, "import/shop", "t", "n"))


def shape(events: list[Event]) -> list[str | datetime]:
    return [e.data.at if isinstance(e, ClockTicked) else e.id for e in events]


def test_a_tick_closes_a_minute_before_the_first_record_of_a_later_one() -> None:
    minute = timedelta(minutes=1)

    events = ticked(
        record("a", NINE),
        record("b", NINE + timedelta(seconds=59)),
        record("c", NINE + minute),
    )

    end = NINE + 2 * minute
    assert shape(events) == ["a", "b", NINE + minute, "c", end, end]


def test_idle_minutes_are_coalesced_into_one_tick_at_the_next_record() -> None:
    later = NINE + timedelta(hours=14, seconds=30)

    events = ticked(record("a", NINE), record("b", later))

    end = NINE + timedelta(hours=14, minutes=1)
    assert shape(events) == ["a", NINE + timedelta(hours=14), "b", end, end]


def test_only_the_last_tick_retires_the_importer() -> None:
    events = ticked(record("a", NINE), record("b", NINE + timedelta(hours=1)))

    retired = [e.data.retired for e in events if isinstance(e, ClockTicked)]
    assert retired == [False, False, True]


def test_a_late_record_moves_no_clock_and_ticks_never_go_back() -> None:
    early = NINE - timedelta(hours=1)

    events = ticked(record("a", NINE), record("late", early), record("b", NINE))

    end = NINE + timedelta(minutes=1)
    assert shape(events) == ["a", "late", "b", end, end]


def test_record_time_counts_where_it_differs_from_event_time() -> None:
    recorded = NINE + timedelta(minutes=5)

    events = ticked(record("a", NINE), record("b", NINE, recorded))

    end = recorded + timedelta(minutes=1)
    assert shape(events) == ["a", recorded, "b", end, end]


def test_times_of_another_zone_are_ticked_in_utc() -> None:
    summer = timezone(timedelta(hours=1))

    events = ticked(record("a", NINE.astimezone(summer)))

    assert events[1].id == "tick-20110301T0901Z"


def test_ids_of_ticks_are_unique_and_name_their_source() -> None:
    events = ticked(record("a", NINE), record("b", NINE + timedelta(minutes=3)))

    ticks = [e for e in events if isinstance(e, ClockTicked)]
    assert len({t.id for t in ticks}) == len(ticks)
    assert {(t.source, t.subject) for t in ticks} == {("import/shop", "import/shop")}


def test_nothing_imported_ticks_nothing() -> None:
    assert ticked() == []
