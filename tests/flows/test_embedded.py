"""What the feed of the embedded job does after a kill."""

from collections import Counter
from pathlib import Path

import msgspec

from flows.embedded import fed_records, records_to_feed
from flows.logs.parquet import LogWriter, write_log
from tests.support.builders import at, order


def test_a_kill_between_the_segments_of_two_partitions_loses_and_repeats_nothing(
    tmp_path: Path,
) -> None:
    """The journal then holds more of the feed in one partition than in the other."""
    names = ("eu", "us", "eu", "north", "us", "eu")
    events = [
        msgspec.structs.replace(order(f"o-{n}", when=at(n, network=name)), id=f"e{n // 2}")
        for n, name in enumerate(names)
    ]
    feed = write_log(tmp_path / "feed", events)
    with LogWriter.create(tmp_path / "journal", partitions=2) as journal:
        homes = [partition for event in events for partition in journal.append(event)]
        journal._buffers[0].clear()  # as if the process had been killed before this one's segment
    assert set(homes) == {0, 1}

    left = list(records_to_feed(feed, fed_records(journal.log)))

    held = Counter(f"o-{n}" for n, home in enumerate(homes) if home == 1)
    fed = Counter(msgspec.json.decode(line)["subject"] for line in left)
    assert held + fed == Counter(f"o-{n}" for n in range(len(events)))


def test_a_journal_that_holds_all_is_fed_nothing(tmp_path: Path) -> None:
    events = [msgspec.structs.replace(order(f"o-{n}"), id=f"e{n}") for n in range(9)]
    feed = write_log(tmp_path / "feed", events)

    assert list(records_to_feed(feed, fed_records(feed))) == []
