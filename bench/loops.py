"""Baselines of the route flow: the same log into the same kind of lake.

``hand_tuned`` is one loop on one thread without a framework: slices, the fold, and one large commit after
another straight into DuckLake; no queue, no positions, no checkpoints, no restart.

``plain`` is what one writes first: an object per order, a dictionary of stock, a model call per order, a
list of rows. It routes to the cheapest single node alone, so it does less than the router does.
"""

import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from flows.lake.connection import open_lake
from flows.lake.layout import Identity, create_or_check, landing
from flows.lake.ownership import Ownership
from flows.logs.log import SLICE_RECORDS
from flows.logs.parquet import ParquetLog
from models.inference import load_model
from models.routing.features import N_FEATURES
from models.routing.fold import RouteState, advance
from schemas.kinds import Kind
from schemas.slices import Slice
from schemas.tables import SCHEMAS, Effects, to_tables

COMMIT_RECORDS = 50_000


def slices(log: ParquetLog) -> Iterator[Slice]:
    """The whole log at full speed."""
    for piece in log.read(0):
        for start in range(0, len(piece), SLICE_RECORDS):
            yield piece.cut(start, start + SLICE_RECORDS)


def fold_alone(log: ParquetLog) -> float:
    """Seconds from the log's slices, read beforehand, to the rows of their effects."""
    pieces, state = list(slices(log)), RouteState(0)
    scorer_of = cache(lambda sha256: load_model(None, sha256))
    began = time.perf_counter()
    for piece in pieces:
        advance(state, piece, scorer_of).tables  # noqa: B018 (made when asked for)
    return time.perf_counter() - began


def hand_tuned(log: ParquetLog, lake: Path) -> float:
    """Seconds from log to lake in one loop."""
    began = time.perf_counter()
    lake.mkdir(parents=True)
    connection = open_lake(lake, threads=1)
    create_or_check(connection, lake, Identity(log.id, log.partitions))
    Ownership(connection, [0])
    scorer_of = cache(lambda sha256: load_model(None, sha256))
    state, waiting, records = RouteState(0), [], 0
    for piece in slices(log):
        waiting.append(advance(state, piece, scorer_of))
        records += len(piece)
        if records >= COMMIT_RECORDS:
            _commit(connection, waiting)
            waiting, records = [], 0
    _commit(connection, waiting)
    seconds = time.perf_counter() - began
    connection.close()
    return seconds


def _commit(connection: duckdb.DuckDBPyConnection, effects: list[Effects]) -> None:
    connection.execute("BEGIN")
    for table, rows in to_tables(effects).items():
        connection.register("rows_to_write", rows.cast(SCHEMAS[table]))
        connection.execute(f"INSERT INTO {landing(table, 0)} SELECT * FROM rows_to_write")
        connection.unregister("rows_to_write")
    connection.execute("COMMIT")


def plain(log: ParquetLog, lake: Path, orders: int) -> float:
    """Seconds that an object per order takes for the first ``orders`` orders."""
    model, stock, lanes = None, {}, {}  # type: ignore[var-annotated]
    rows: list[dict[str, Any]] = []
    seconds, done = 0.0, 0
    for piece in log.read(0):
        records = {
            k: iter(piece.of_kind(k)[1].to_pylist()) for k in map(Kind, set(piece.kinds.tolist()))
        }
        subjects = piece.envelope["subject"].to_pylist()
        began = time.perf_counter()
        for code, subject in zip(piece.kinds.tolist(), subjects, strict=True):
            data = next(records[Kind(code)])
            if code == Kind.LANE_SET:
                lanes.setdefault(data["region"], []).append(data)
            elif code == Kind.INVENTORY_COUNTED:
                stock.update({(subject, i["sku"]): i["on_hand"] for i in data["items"]})
            elif code == Kind.MODEL_ACTIVATED:
                model = load_model(None, data["sha256"])
                began = time.perf_counter()
            elif code == Kind.ORDER_RECEIVED and model is not None:
                rows.append(_route_one(subject, data, lanes[data["region"]], stock, model))
                done += 1
                if done == orders:
                    break
        seconds += time.perf_counter() - began
        if done == orders:
            break
    began = time.perf_counter()
    table = pa.Table.from_pylist(rows)
    connection = duckdb.connect(str(lake))
    connection.register("rows_to_write", table)
    connection.execute("CREATE TABLE decisions AS SELECT * FROM rows_to_write")
    connection.close()
    return seconds + time.perf_counter() - began


def _route_one(
    order_id: str,
    order: dict[str, Any],
    lanes: list[dict[str, Any]],
    stock: dict[Any, int],
    model: Any,
) -> dict[str, Any]:
    lines = order["lines"]
    weight = sum(line["qty"] * line["weight_g"] for line in lines) / 1000
    features = np.zeros((len(lanes), N_FEATURES), np.float32)
    for row, lane in zip(features, lanes, strict=True):
        row[:7] = (
            np.log1p(lane["distance_km"]), np.log1p(lane["transit_hours"]), 0, 0, np.log1p(weight),
            np.log1p(sum(line["qty"] for line in lines)), np.log1p(len(lines)),
        )  # fmt: skip
        row[15] = 0.5
    said = model.score(features)
    best = None
    for lane, quantities in zip(lanes, said, strict=True):
        if all(stock[lane["node"], line["sku"]] >= line["qty"] for line in lines):
            band = lane["bands"][0]
            cost = band["base_minor"] + band["per_kg_minor"] * weight + 800 * float(quantities[2])
            if best is None or cost < best[0]:
                best = (cost, lane["node"])
    if best is not None:
        for line in lines:
            stock[best[1], line["sku"]] -= line["qty"]
    return {"order_id": order_id, "node": best and best[1], "cost": best and best[0]}
