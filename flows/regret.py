"""Recorded logs as cases of the regret meter, and its figures as a table of a lake."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from flows.lake.connection import is_lake, open_lake
from flows.lake.lock import WriterLock
from flows.logs.parquet import ParquetLog
from models.evaluation.case import Case, make_case
from models.inference import ARTIFACTS, load_model
from schemas.errors import InputError, LakeError
from schemas.kinds import Kind
from schemas.slices import Slice, concat

TABLE = "regret"


def read_case(
    log: Path, network: str | None, model_dirs: Sequence[Path], unserved_minor: float
) -> Case:
    """One network of a recorded log.

    Args:
        log: the log.
        network: ``tenant/network``; None: the only one.
        model_dirs: more places to look for models.
        unserved_minor: what a unit costs that nobody ships.

    Raises:
        InputError: the log has no such network, or several and none was named.
    """
    places = [*model_dirs, ARTIFACTS]
    return make_case(
        _one_network(log, network), cache(lambda sha256: load_model(places, sha256)), unserved_minor
    )


def _one_network(log: Path, network: str | None) -> Slice:
    recorded = ParquetLog(log)
    found: dict[str, list[Slice]] = {}
    for partition in range(recorded.partitions):
        pieces = list(recorded.read(partition))
        if not pieces:
            continue
        piece = concat(pieces)
        ticks = piece.kinds == Kind.CLOCK_TICKED
        names = np.array(
            [
                f"{tenant}/{name}"
                for tenant, name in zip(
                    piece.envelope["tenant"].to_pylist(),
                    piece.envelope["network"].to_pylist(),
                    strict=True,
                )
            ]
        )
        for name in sorted(set(names[~ticks].tolist())):
            rows = np.flatnonzero(ticks | (names == name))
            found.setdefault(name, []).append(piece.take(rows))
    known = ", ".join(sorted(found))
    if network is None and len(found) != 1:
        raise InputError(f"{log} has {len(found)} networks ({known}): choose one by --network")
    chosen = network or next(iter(found))
    if chosen not in found:
        raise InputError(f"{log} has no network {chosen}; it has {known or 'none'}")
    return found[chosen][0]


def write_figures(lake: Path, figures: pl.DataFrame) -> None:
    """Keep the figures as the table ``regret`` of a lake, in place of those of the same cases.

    Raises:
        LakeError: not a lake, or a job is writing it.
    """
    if not is_lake(lake):
        raise LakeError(f"{lake} is no lake; make one by crossdock replay LOG --lake {lake}")
    lock = WriterLock(lake)
    try:
        with open_lake(lake) as connection:
            connection.register("figures", figures.to_arrow())
            connection.execute("BEGIN")
            connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} AS FROM figures LIMIT 0")
            connection.execute(f'DELETE FROM {TABLE} WHERE "case" IN (SELECT "case" FROM figures)')
            connection.execute(f"INSERT INTO {TABLE} BY NAME FROM figures")
            connection.execute("COMMIT")
    finally:
        lock.release()
