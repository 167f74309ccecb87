"""``python -m bench.flips LOG LAKE [DECISIONS] [SEED]``: flip statements of a sample, each verified.

A statement counts only once the fold, run again with the change, has chosen otherwise, and with one step
less of it as before (``models/routing/flips.py``). Prints how many there are of each family, and the time.
"""

import sys
import time
from collections import Counter
from itertools import groupby
from pathlib import Path

from flows.commands.output import console, counting, table
from flows.decisions import sample_decisions
from flows.lake.query import connect_reader
from flows.logs.parquet import ParquetLog
from flows.past import Past
from flows.rerun import places_of
from flows.warmup import warm_up
from flows.weighing import question_of
from models.routing.flips import flips_of
from models.routing.moments import moment_of

DECISIONS = 1_000


def measure(log: Path, lake: Path, decisions: int, seed: int) -> Counter[str]:
    """Statements by family, with ``none``, ``nothing to choose`` and the smallest of each decision."""
    with connect_reader(lake) as connection:
        refs = sample_decisions(connection, decisions, seed)
    past, found = Past.open(ParquetLog(log), lake), Counter[str]()
    by_record = {
        at: list(of) for at, of in groupby(refs, lambda ref: (ref.partition, ref.position))
    }
    with counting("flipping", len(refs)) as progress:
        for partition, positions in places_of(refs).items():
            for cause in past.causes(past.start(partition, positions[0]), positions):
                for ref in by_record[partition, int(cause.record.positions[0])]:
                    question = question_of(ref)
                    moment = moment_of(cause, question)
                    flips = flips_of(cause, question, moment) if moment else []
                    found.update(str(flip.change.family) for flip in flips)
                    found["nothing to choose" if moment is None else "decisions"] += 1
                    found["no flip"] += moment is not None and not flips
                    progress(1)
    return found


def main(arguments: list[str]) -> int:
    """Measure and print."""
    log, lake = Path(arguments[0]), Path(arguments[1])
    decisions = int(arguments[2]) if len(arguments) > 2 else DECISIONS
    seed = int(arguments[3]) if len(arguments) > 3 else 0
    warm_up()
    began = time.perf_counter()
    found = measure(log, lake, decisions, seed)
    seconds = time.perf_counter() - began
    statements = sum(found[name] for name in ("weight", "stock", "cut_off"))
    rows = [*found.items(), ("statements verified", statements), ("seconds", round(seconds, 1))]
    console().print(table("Flip statements", ("what", "count"), rows, numbers=("count",)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
