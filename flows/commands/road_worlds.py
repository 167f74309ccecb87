"""``crossdock scenario alarms`` and ``crossdock scenario sync``: worlds of parcels, tracked and judged."""

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NamedTuple

import typer

from flows.commands.output import console, error_console, print_json, table
from flows.commands.scenario import OUT_OF_BAND, AsJson, app
from flows.lake.layout import Flow
from flows.road_worlds import Arm, alarms, compare
from flows.scenarios import LARGEST, SMALLEST
from flows.warmup import warm_up
from models.simulation.parcels import Road

Seed = Annotated[int, typer.Option(min=0, help="Another world of the same sort.")]
Size = Annotated[int, typer.Option(min=SMALLEST, max=LARGEST, help="Number of orders.")]


@app.command("alarms")
def judge_alarms(seed: Seed = 1, size: Size = 1_000, as_json: AsJson = False) -> None:
    """Simulate parcels of which some are held up and some get warm, track them, and judge the alarms.

    Recall is the share of the injected faults that were raised, precision the share of what was raised that
    was a fault. A late parcel counts twice: as far as that was said before the date told had passed, and
    before it came. Exit code 1 below 95 % (of the former 90 %) and 90 %, or if one cause was raised twice.

    Example: crossdock scenario alarms --seed 7
    """
    with TemporaryDirectory(prefix="crossdock-") as folder:
        _warm()
        with error_console().status(f"tracking {size:,} parcels…"):
            found = alarms(Road(seed, size), Path(folder))
    is_ok = all(f.is_ok for f in found)
    if as_json:
        rates = [{**asdict(f), "recall": f.recall, "precision": f.precision} for f in found]
        print_json({"seed": seed, "size": size, "alarms": rates, "ok": is_ok})
    else:
        columns = (
            "alarm", "real", "raised", "right", "recall", "precision", "most per cause",
            "hours before, median", "raised by its proof",
        )  # fmt: skip
        rows = [
            (
                f.what, f.real, f.alarmed, f.right, _percent(f.recall), _percent(f.precision),
                f.most_per_cause, "" if f.first_hours is None else f"{f.first_hours:.1f}",
                _percent(f.by_proof),
            )
            for f in found
        ]  # fmt: skip
        title = f"Alarms over {size:,} simulated parcels, seed {seed}"
        console().print(table(title, columns, rows, columns[1:]))
    if not is_ok:
        raise typer.Exit(OUT_OF_BAND)


@app.command("sync")
def compare_sync(seed: Seed = 1, size: Size = 1_000, as_json: AsJson = False) -> None:
    """Track one simulated world twice, by an hourly sync and event by event, and compare what came of it.

    In the sync's world nodes report each half hour and carriers each two hours, and customers look at the page;
    event by event they are sent messages as well. How customers behave is assumed (models/simulation): the
    direction counts, not the size. Exit code 1 if a row goes in the wrong direction.

    Example: crossdock scenario sync
    """
    with TemporaryDirectory(prefix="crossdock-") as folder:
        _warm()
        with error_console().status(f"tracking {size:,} parcels twice…"):
            rows = _rows(*compare(Road(seed, size), Path(folder)))
    if as_json:
        print_json(
            {"seed": seed, "size": size, "rows": [r._asdict() | {"ok": r.is_ok} for r in rows]}
        )
    else:
        columns = ("what", "hourly sync", "event by event", "better")
        cells = [
            (r.what, f"{r.sync:,.2f}", f"{r.events:,.2f}", "yes" if r.is_ok else "NO") for r in rows
        ]
        title = f"One world of {size:,} parcels, tracked twice, seed {seed}"
        console().print(table(title, columns, cells, columns[1:3]))
    if not all(row.is_ok for row in rows):
        raise typer.Exit(OUT_OF_BAND)


class _Row(NamedTuple):
    what: str
    sync: float
    events: float
    is_more_better: bool = False

    @property
    def is_ok(self) -> bool:
        return self.events > self.sync if self.is_more_better else self.events < self.sync


def _rows(sync: Arm, events: Arm) -> list[_Row]:
    """The rows of domain.md A25."""
    a, b = sync.mood, events.mood
    return [
        _Row(
            "news on the page after, minutes, median", sync.lag_minutes_p50, events.lag_minutes_p50
        ),
        _Row("news on the page after, minutes, p99", sync.lag_minutes_p99, events.lag_minutes_p99),
        _Row("looks per order", a.looks_per_order, b.looks_per_order),
        _Row("looks that end at the service, share", a.service_share, b.service_share),
        _Row("satisfaction, 1 to 5 (proxy)", a.satisfaction, b.satisfaction, is_more_better=True),
    ]


def _warm() -> None:
    with error_console().status("compiling the kernels (once per version)…"):
        warm_up([Flow.TRACK])


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
