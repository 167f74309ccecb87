"""Messages that know their order by a foreign id: looked up, or waiting, also over a restart."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec

from flows.crossref import CrossReferences
from flows.guard import Guard
from flows.ingest import IngestJob, run
from flows.journals import KafkaJournal
from flows.kafka.client import KafkaSettings
from flows.settings import Settings
from schemas.codec import encode_event
from schemas.crossref import Assignment, Foreign
from tests.support import jobs
from tests.support.broker import all_of, write, write_keyed
from tests.support.builders import START, cancelled

TRACKING = "shop:100231"


def foreign(xref: str = TRACKING, name: str = "e-1", **changes: Any) -> bytes:
    """A cancellation by the shop's own number of the order."""
    body = msgspec.json.decode(encode_event(cancelled("o-1")))
    for attribute in ("tenant", "network", "subject"):
        del body[attribute]
    return msgspec.json.encode(body | {"xref": xref, "id": name} | changes)


def stands_for(cluster: KafkaSettings, xref: str, *subjects: str, **validity: Any) -> None:
    """Say so on the cross-reference."""
    known = {"tenant": "acme", "network": "eu", "subjects": subjects, **validity}
    value = msgspec.json.encode({"assignments": [known]})
    write_keyed(cluster.bootstrap, cluster.xref, [(xref.encode(), value)])


def ingest(
    cluster: KafkaSettings, until: Callable[[], bool] = lambda: True, wait_seconds: float = 3600
) -> None:
    """Run the flow for two seconds and until something is true."""
    settings, guard = Settings(tick_seconds=0.1, xref_wait_seconds=wait_seconds), Guard()
    references = CrossReferences(cluster, settings, guard)
    job = IngestJob(cluster, KafkaJournal(cluster), settings, guard, references)
    began, look = time.monotonic(), references.look

    def look_and_see() -> Any:
        waited = time.monotonic() - began
        if waited > 180 or (waited > 2 and until()):
            guard.stop()
        return look()

    references.look = look_and_see  # type: ignore[method-assign]
    run(job)


def journal(cluster: KafkaSettings) -> list[tuple[str, str]]:
    """(id, subject) of every record but ticks."""
    lines = [msgspec.json.decode(value) for _, value in all_of(cluster, cluster.journal)]
    return sorted((e["id"], e["subject"]) for e in lines if e["type"] != "clock.ticked")


def test_a_foreign_id_is_looked_up(cluster: KafkaSettings) -> None:
    stands_for(cluster, TRACKING, "o-7")
    stands_for(cluster, "truck:4", "o-1", "o-2")
    raw = [foreign(), foreign("truck:4", "e-2")]
    write(cluster.bootstrap, cluster.raw[0], [(0, value) for value in raw])

    ingest(cluster)

    assert journal(cluster) == [("e-1", "o-7"), ("e-2", "o-1"), ("e-2/1", "o-2")]
    (first, *_) = [v for _, v in all_of(cluster, cluster.journal) if b"order.cancelled" in v]
    assert b"xref" not in first
    assert all_of(cluster, cluster.dead_letters) == []


def test_what_is_not_known_yet_waits_also_over_a_restart(cluster: KafkaSettings) -> None:
    write(cluster.bootstrap, cluster.raw[0], [(0, foreign()), (0, foreign(name="e-2"))])
    ingest(cluster)
    before = journal(cluster)
    ingest(cluster)
    stands_for(cluster, TRACKING, "o-7")
    ingest(cluster, lambda: len(journal(cluster)) == 2)
    ingest(cluster)

    assert before == []
    assert journal(cluster) == [("e-1", "o-7"), ("e-2", "o-7")], "once each, whatever is restarted"
    assert all_of(cluster, cluster.dead_letters) == []


def test_an_id_stands_for_what_it_stood_for_then(cluster: KafkaSettings) -> None:
    later = (START + timedelta(days=2)).isoformat()
    stands_for(cluster, TRACKING, "o-7", valid_to=later)
    value = foreign(name="late", time=later)
    write(cluster.bootstrap, cluster.raw[0], [(0, foreign()), (0, value)])

    ingest(cluster)

    assert journal(cluster) == [("e-1", "o-7")]


def test_at_the_end_of_its_wait_it_is_a_dead_letter(cluster: KafkaSettings) -> None:
    write(cluster.bootstrap, cluster.raw[0], [(1, foreign())])

    ingest(cluster, lambda: len(all_of(cluster, cluster.dead_letters)) == 1, wait_seconds=0.5)
    ingest(cluster)

    assert [value for _, value in all_of(cluster, cluster.dead_letters)] == [foreign()]
    assert journal(cluster) == []


def test_what_was_settled_stays_on_its_topic_until_it_is_written(cluster: KafkaSettings) -> None:
    """A crash between the two must find it again."""
    write(cluster.bootstrap, cluster.raw[0], [(0, foreign()), (0, foreign(name="e-2"))])
    ingest(cluster)
    stands_for(cluster, TRACKING, "o-7")
    settings = Settings()

    dying = CrossReferences(cluster, settings, Guard())
    first, second = dying.look()
    dying.is_written([first])
    dying.flush()
    dying.close()
    heir = CrossReferences(cluster, settings, Guard())
    (left,) = heir.look()
    heir.close()

    assert left.waiting.key == second.waiting.key
    assert left.records == second.records


def test_what_is_broken_deeper_inside_does_not_wait(cluster: KafkaSettings) -> None:
    deep = b'{"a":' * 5_000 + b"1" + b"}" * 5_000
    broken = [
        foreign().replace(b'"data":', b'"more":"\xff","data":'),
        foreign().replace(b'"data":', b'"more":' + deep + b',"data":'),
        foreign("no kind"),
    ]
    write(cluster.bootstrap, cluster.raw[0], [(0, value) for value in broken])

    ingest(cluster, lambda: len(all_of(cluster, cluster.dead_letters)) == 3)

    assert sorted(v for _, v in all_of(cluster, cluster.dead_letters)) == sorted(broken)


def test_a_reference_that_is_none_changes_nothing(cluster: KafkaSettings) -> None:
    stands_for(cluster, TRACKING, "o-7")
    write_keyed(cluster.bootstrap, cluster.xref, [(TRACKING.encode(), b"{"), (b"\xff", b"[]")])
    write(cluster.bootstrap, cluster.raw[0], [(0, foreign())])

    ingest(cluster)

    assert journal(cluster) == [("e-1", "o-7")]


def test_of_two_processes_that_speak_of_one_parcel_at_once_both_are_heard(
    cluster: KafkaSettings,
) -> None:
    """Also where neither lives to hear of the other."""
    first, second = (CrossReferences(cluster, Settings(), Guard()) for _ in range(2))
    for process, order in ((first, "o-1"), (second, "o-2")):
        known = Assignment(tenant="acme", network="eu", subjects=[order])
        process.assign(TRACKING, known)
        process.write_assigned()
        process.flush()

    heir = CrossReferences(cluster, Settings(), Guard())
    found = orders_of(heir)
    for process in (first, second, heir):
        process.close()

    assert found == ["o-1", "o-2"]


def test_what_others_say_of_a_foreign_id_leaves_what_ingest_says(cluster: KafkaSettings) -> None:
    ours = CrossReferences(cluster, Settings(), Guard())
    ours.assign(TRACKING, Assignment(tenant="acme", network="eu", subjects=["o-1"]))
    ours.write_assigned()
    ours.flush()

    stands_for(cluster, TRACKING, "o-7")
    stands_for(cluster, TRACKING, "o-8")
    write_keyed(cluster.bootstrap, cluster.xref, [(b"[]", b"{}"), (b"[7", None)])
    jobs.wait(lambda: bool(ours.look() or len(orders_of(ours)) == 2))
    heard, heir = orders_of(ours), CrossReferences(cluster, Settings(), Guard())
    inherited = orders_of(heir)
    write_keyed(cluster.bootstrap, cluster.xref, [(TRACKING.encode(), None)])
    jobs.wait(lambda: bool(ours.look() or len(orders_of(ours)) == 1))
    left = orders_of(ours)
    for process in (ours, heir):
        process.close()

    assert (heard, inherited, left) == (["o-1", "o-8"], ["o-1", "o-8"], ["o-1"])


def orders_of(process: CrossReferences) -> list[str]:
    """The orders that the foreign id stands for."""
    raw = foreign()
    found = process.resolve(raw, msgspec.json.decode(raw, type=Foreign))
    return sorted(msgspec.json.decode(one)["subject"] for one in found)
