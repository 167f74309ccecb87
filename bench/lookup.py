"""``python -m bench.lookup [ORDERS]``: one order's state and timeline, out of many, as another process sees it.

The lake is made by SQL as a job's commits leave it once they are settled, and then maintained. Order ids are
random, so no file can be passed over for its range of ids. It is kept in ``bench/out`` and used again.

A lookup asks two views for one order, in one transaction: its state and its timeline.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np

from bench.figures import Figure
from flows.lake.connection import open_lake
from flows.lake.durability import durable_transaction
from flows.lake.layout import Flow, Identity, settled
from flows.lake.maintenance import maintain
from flows.lake.query import connect_reader
from flows.lake.writer import create_or_open_writer
from schemas.ids import LogId
from schemas.tables import Table

ORDERS, LOOKUPS, UNCOUNTED = 2_500_000, 200, 20
PIECES = (640_000, 160_000, 40_000, 10_000)
"""Orders whose rows lie in the same files: the newest in small ones that wait for others of their size."""
STEPS = (
    ("ORDERED", "RECEIVED"), ("ROUTED", "ROUTED"), ("OFFERED", "ROUTED"), ("PACKED", "PACKED"),
    ("HANDED_OVER", "HANDED_OVER"), ("SCANNED", "IN_TRANSIT"), ("ARRIVED", "IN_TRANSIT"),
    ("OUT_FOR_DELIVERY", "OUT_FOR_DELIVERY"), ("DELIVERED", "DELIVERED"), ("SIGNED", "SIGNED"),
)  # fmt: skip
"""What is said of each, and its phase after that."""
ONE_IN = 20
"""Of so many orders one had an exception."""


def measure(folder: Path, number: int = ORDERS) -> list[Figure]:
    """Make the lake if it is not there; ask it from a process of its own."""
    lake = made(folder / f"lookup-{number}", number)
    words = [sys.executable, "-m", "bench.lookup", "ask", str(number), str(lake)]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True)
    p50, p99 = json.loads(done.stdout)
    return [Figure("lookup_ms_p50", p50, "ms"), Figure("lookup_ms_p99", p99, "ms")]


def made(path: Path, number: int) -> Path:
    """The lake of so many orders."""
    if (path / "made").exists():
        return path
    shutil.rmtree(path, ignore_errors=True)
    identity = Identity(LogId("bench"), flow=Flow.TRACK)
    create_or_open_writer(path, identity, [Flow.TRACK.first_partition]).close()
    with open_lake(path, threads=1) as lake:  # one keeps the rows in order
        for first, last in _pieces(number):
            _fill(lake, path, Table.TIMELINE, _TIMELINE, range(first, last))
            _fill(lake, path, Table.EXCEPTIONS, _EXCEPTIONS, range(first, last, ONE_IN))
    maintain(path)
    (path / "made").touch()
    return path


def _pieces(number: int) -> Iterator[tuple[int, int]]:
    first = 0
    while first < number:
        size = next((p for p in PIECES if first + p <= number), number - first)
        yield first, first + size
        first += size


def _fill(
    lake: duckdb.DuckDBPyConnection, path: Path, table: Table, rows_of: str, orders: range
) -> None:
    """Write the rows of some orders, a file for each bucket."""
    with durable_transaction(lake, path):
        lake.execute(
            f"INSERT INTO {settled(table)} BY NAME {rows_of}",
            {"first": orders.start, "last": orders.stop, "step": orders.step},
        )


def _rows_of(turns: int) -> str:
    """Rows of orders in turn, as the log has them; written order by order, as maintenance leaves them."""
    return f"""
        SELECT
            *, $first * {turns} + turn * ($last - $first) + number - $first AS place,
            TIMESTAMPTZ '2026-01-05 08:00:00+00' + to_milliseconds(place) AS moment
        FROM (
            SELECT *, unnest(range({turns})) AS turn
            FROM (
                SELECT range AS number, {_ORDER_ID} AS order_id
                FROM range($first, $last, $step) ORDER BY order_id
            )
        )
    """


_ORDER_ID = "format('SO-{:016x}', hash(range))"
_ABOUT = f"""
    {Flow.TRACK.first_partition} AS partition, place AS position, 0 AS "index",
    'bench' AS tenant, 'one' AS network, order_id
"""
_TIMELINE = f"""
SELECT {_ABOUT}, {[s for s, _ in STEPS]}[turn + 1] AS step, {[p for _, p in STEPS]}[turn + 1] AS phase,
    'ACT' AS classifier, moment AS "at", moment AS recorded_at,
    format('SF{{:012d}}', number) AS package, 'N17' AS node, 'sf' AS carrier, 'carrier' AS source,
    place::VARCHAR AS event_id, if(turn = 0, format('customer-{{:012d}}', number), NULL) AS customer,
    if(turn = 1, moment + INTERVAL 5 DAY, NULL) AS promise_at,
    if(turn = 1, moment + INTERVAL 5 DAY, NULL) AS first_promise_at,
    phase AS package_phase, false AS is_late
FROM ({_rows_of(len(STEPS))})
"""
_EXCEPTIONS = f"""
SELECT {_ABOUT}, 'SILENCE' AS code, 'WARN' AS severity, moment AS raised_at,
    if(turn = 0, 'raised', 'resolved') AS change
FROM ({_rows_of(2)})
"""


def _ask(path: Path, number: int) -> tuple[float, float]:
    """p50 and p99 of a lookup, in ms."""
    chosen = np.random.default_rng(7).integers(number, size=UNCOUNTED + LOOKUPS).tolist()
    taken = []
    with connect_reader(path, threads=1) as lake:  # there is nothing to share among more
        ids = lake.execute(
            f"SELECT {_ORDER_ID} FROM (SELECT unnest(?::BIGINT[]) AS range)", [chosen]
        ).fetchall()
        for (order_id,) in ids:
            began = time.perf_counter()
            found = look_up(lake, order_id)
            taken.append((time.perf_counter() - began) * 1e3)
            assert found == (1, len(STEPS))
    p50, p99 = np.percentile(taken[UNCOUNTED:], [50, 99])
    return float(p50), float(p99)


def look_up(lake: duckdb.DuckDBPyConnection, order_id: str) -> tuple[int, int]:
    """State and timeline of an order; how many rows they have."""
    lake.execute("BEGIN")
    states, rows = (
        lake.execute(f"SELECT * FROM {view} WHERE order_id = ?", [order_id]).to_arrow_table()
        for view in ("order_states", "timeline")
    )
    lake.execute("COMMIT")
    return states.num_rows, rows.num_rows


def main(arguments: list[str]) -> int:
    """Print what was measured."""
    match arguments:
        case ["ask", number, path]:
            print(json.dumps(_ask(Path(path), int(number))))
        case [*orders]:
            number_of_orders = int(orders[0]) if orders else ORDERS
            for figure in measure(Path(__file__).parent / "out", number_of_orders):
                print(figure.name, round(figure.value, 1), figure.unit)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
