"""The committed logs are what the builders make of the data, and account for all of it."""

import runpy
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from examples.retail.recording import Recording
from examples.retail.source import LineClass
from flows.logs.parquet import ParquetLog
from schemas.codec import Refusal, decode_line, to_lines
from schemas.control import ClockTicked, PolicyActivated
from schemas.envelope import Event
from schemas.orders import OrderCancelled, OrderReceived, ReturnReceived

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
SOURCES = {"online-retail": DATA / "online_retail", "brunel": DATA / "brunel_supply_chain"}
BYTES_MAX = 8_000_000
EXAMPLES = pytest.mark.parametrize("example", sorted(SOURCES))
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="the data sets are not beside the repository, in ../shared/data"
)

CANCELLATIONS = (
    LineClass.CANCELLED,
    LineClass.RETURNED,
    LineClass.RETURNED_UNKNOWN,
    LineClass.IN_PARTS,
)


def committed(example: str) -> ParquetLog:
    return ParquetLog(ROOT / "examples" / example / "log")


def build(example: str, out: Path) -> Any:
    script: dict[str, Any] = runpy.run_path(str(ROOT / "examples" / example / "build.py"))
    builder: Callable[[Path, Path], Any] = script["build"]
    return builder(SOURCES[example], out)


@pytest.fixture(scope="module")
def retail(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recording, Path]:
    out = tmp_path_factory.mktemp("retail") / "log"
    return build("online-retail", out), out


@needs_data
def test_building_online_retail_again_gives_the_committed_log(
    retail: tuple[Recording, Path],
) -> None:
    _, out = retail

    same = events_of(ParquetLog(out)) == events_of(committed("online-retail"))

    assert same, "rebuild it as examples/online-retail/README.md says: data, rules or model changed"


@needs_data
def test_building_brunel_again_gives_the_committed_log(tmp_path: Path) -> None:
    build("brunel", tmp_path / "log")

    assert events_of(ParquetLog(tmp_path / "log")) == events_of(committed("brunel"))


@needs_data
def test_every_invoice_line_is_in_exactly_one_class(retail: tuple[Recording, Path]) -> None:
    lines = retail[0].lines
    source = pl.read_parquet(SOURCES["online-retail"] / "order_lines.parquet")

    assert lines["row"].to_list() == list(range(len(source)))
    assert lines["quantity"].equals(source["quantity"])
    assert set(lines["line_class"]) <= {c.value for c in LineClass} - {LineClass.CANCELLATION.value}


@needs_data
def test_units_of_the_source_and_of_the_records_are_the_same(
    retail: tuple[Recording, Path],
) -> None:
    recording = retail[0]
    wanted: Counter[str] = Counter()
    for event in recording.events:
        match event:
            case OrderReceived(data=order):
                wanted["lines"] += len(order.lines)
                wanted["ordered"] += sum(line.qty for line in order.lines)
            case OrderCancelled(data=cancellation):
                wanted["withdrawn"] += sum(line.qty for line in cancellation.lines)
            case ReturnReceived(data=returned):
                wanted["withdrawn"] += sum(item.qty for item in returned.items)

    lines = recording.lines
    sold = lines.filter(pl.col("line_class") == LineClass.ORDER_LINE.value)
    back = lines.filter(pl.col("line_class").is_in([c.value for c in CANCELLATIONS]))
    assert wanted["lines"] == len(sold)
    assert wanted["ordered"] == sold["quantity"].sum()
    assert wanted["withdrawn"] == -back["quantity"].sum()


@needs_data
def test_cancelled_units_never_exceed_what_their_line_ordered(
    retail: tuple[Recording, Path],
) -> None:
    ordered: dict[tuple[str, int], int] = {}
    cancelled: Counter[tuple[str, int]] = Counter()
    for event in retail[0].events:
        if isinstance(event, OrderReceived):
            ordered |= {(event.subject, line.line_no): line.qty for line in event.data.lines}
        elif isinstance(event, OrderCancelled):
            for line in event.data.lines:
                cancelled[event.subject, line.line_no] += line.qty

    assert all(qty <= ordered[place] for place, qty in cancelled.items())


def events_of(log: ParquetLog) -> list[Event]:
    decoded = [
        decode_line(line, 1)
        for partition in range(log.partitions)
        for piece in log.read(partition)
        for line in to_lines(piece)
    ]
    refused = [d for d in decoded if isinstance(d, Refusal)]
    assert refused == []
    return [d for d in decoded if isinstance(d, Event)]


@EXAMPLES
def test_a_committed_log_is_whole_valid_and_compact(example: str) -> None:
    log = committed(example)

    events = events_of(log)

    assert len(events) == len(log) > 0
    assert len({(e.source, e.id) for e in events}) == len(events)
    assert sum(p.stat().st_size for p in log.path.rglob("*") if p.is_file()) <= BYTES_MAX


@EXAMPLES
def test_a_committed_log_is_in_order_and_ticks_before_each_new_minute(example: str) -> None:
    clock = None
    for event in events_of(committed(example)):
        recorded = event.recordedtime or event.time
        if isinstance(event, ClockTicked):
            assert clock is None or event.data.at >= clock
            clock = event.data.at
        elif clock is not None:
            assert clock <= recorded < clock.replace(second=59, microsecond=999_999)
    assert isinstance(event, ClockTicked)
    assert event.data.retired


@EXAMPLES
def test_the_policy_on_a_committed_log_is_the_one_beside_it(example: str) -> None:
    events = events_of(committed(example))

    (policy,) = [e for e in events if isinstance(e, PolicyActivated)]

    beside = ROOT / "examples" / example / "policy.yaml"
    assert policy.data.document == beside.read_text(encoding="utf-8")
