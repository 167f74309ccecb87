"""Worlds of parcels: the same for a seed, their alarms right, and news at once worth more than a sync."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from flows.road_worlds import alarms, compare
from models.simulation.customers import CONTENT, PER_CALL, Wait, ask
from models.simulation.parcels import Road, travel
from schemas.codec import encode_event
from tests.support.command_line import refused, run

NEVER = float("inf")
CALM = Wait(begins=0, promise=200, ends=30, news=[(1, 1)], messages=[], warned=NEVER)


def content(road: Road) -> bytes:
    return b"\n".join(map(encode_event, travel(road)[0]))


def test_a_seed_makes_a_world_and_another_seed_another() -> None:
    assert content(Road(1, 40)) == content(Road(1, 40))
    assert content(Road(1, 40)) != content(Road(2, 40))


def test_only_what_is_held_up_is_late_and_every_sort_of_fault_occurs() -> None:
    _, truths = travel(Road(4, 400))

    assert all(t.is_late == t.is_held_up for t in truths)
    is_warm = {bool(proof) for t in truths for proof in t.proofs.values()}
    assert {t.is_held_up for t in truths} == is_warm == {True, False}
    assert {len(t.proofs) for t in truths} == {1, 2}
    assert any(t.is_teased for t in truths)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_alarms_find_the_injected_faults_and_nothing_else(seed: int, tmp_path: Path) -> None:
    predicted, said, warm = alarms(Road(seed, 250, cold=0.4), tmp_path)

    for found in (said, warm):
        assert found.real > 3
        assert found.recall >= 0.95
        assert found.precision >= 0.9
        assert found.most_per_cause == 1
    # two of twenty; see the world of many
    assert min(predicted.recall, predicted.precision) >= 0.85
    assert (predicted.first_hours or 0) >= 8
    assert warm.by_proof == 1


def test_delays_of_many_parcels_are_predicted_hours_before_the_date_is_missed(
    tmp_path: Path,
) -> None:
    predicted, *_ = alarms(Road(1, 1_000, cold=0), tmp_path)

    assert predicted.real > 50
    assert predicted.recall >= 0.95
    assert predicted.precision >= 0.9
    assert (predicted.first_hours or 0) >= 12


def test_events_are_better_than_a_sync_in_every_row(tmp_path: Path) -> None:
    sync, events = compare(Road(1, 250, cold=0), tmp_path)

    assert events.lag_minutes_p50 < 1 < 10 < sync.lag_minutes_p50
    assert events.mood.looks_per_order < sync.mood.looks_per_order
    assert events.mood.service_share < sync.mood.service_share
    assert events.mood.satisfaction > sync.mood.satisfaction


def test_who_is_told_looks_less() -> None:
    told = replace(CALM, messages=[float(hour) for hour in range(0, 30, 6)])

    assert ask([told] * 300, 1).looks_per_order < ask([CALM] * 300, 1).looks_per_order


def test_who_is_late_and_not_told_calls_and_is_less_content_than_who_was_warned() -> None:
    late = replace(CALM, promise=10, ends=60)
    warned = replace(late, warned=5)

    untold, told = ask([late] * 300, 1), ask([warned] * 300, 1)

    assert untold.service_share > 2 * told.service_share
    assert untold.satisfaction < told.satisfaction < CONTENT


def test_a_page_that_lags_makes_customers_call() -> None:
    fresh = replace(CALM, news=[(1, 1), (10, 10)])
    lagging = replace(CALM, news=[(1, 1), (10, 29)])

    assert (
        ask([lagging] * 300, 1).service_share > ask([fresh] * 300, 1).service_share + PER_CALL / 10
    )


def test_a_comparison_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one order"):
        ask([], 1)


def test_the_commands_print_their_tables_and_json() -> None:
    shown = run("scenario", "alarms", "--size", "60")
    as_json = json.loads(run("scenario", "sync", "--size", "60", "--json").stdout)

    assert "temperature excursions" in shown.stdout
    assert [row["what"][:4] for row in as_json["rows"]] == ["news", "news", "look", "look", "sati"]
    assert "greater than or equal to 10" in refused(run("scenario", "alarms", "--size", "1"))


def test_a_road_is_long_enough_for_its_loggers() -> None:
    events, truths = travel(Road(2, 200, cold=1.0))
    last = {t.order_id: t.delivered_at for t in truths}
    outside = [
        e for e in events
        if type(e).__name__ == "TelemetrySensor" and e.time > last[e.subject] + timedelta(hours=1)
    ]  # fmt: skip
    assert not outside
