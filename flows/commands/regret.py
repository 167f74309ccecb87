"""``crossdock regret``: how far each policy is from what was possible with hindsight."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from flows.commands.config import Config
from flows.commands.output import console, counting, error_console, money, print_json, table
from flows.lake.layout import Flow
from flows.regret import read_case, write_figures
from flows.regret_plot import plot as draw
from flows.settings import load_settings
from flows.warmup import warm_up
from models.evaluation.compare import Compared, compare
from models.evaluation.figures import Label, by_policy, tabulate
from models.evaluation.logs import planner_on
from models.evaluation.worlds import run_world
from schemas.errors import InputError

_COLUMNS = (
    "policy", "cost", "above bound", "gap closed", "least", "dearest", "splits", "change",
    "unserved", "servable", "agrees", "kept", "feasible",
)  # fmt: skip


def regret(
    log: Annotated[Path | None, typer.Argument(help="A recorded log (a directory).")] = None,
    worlds: Annotated[
        int | None, typer.Option(min=1, help="Seeded worlds in place of a log: how many.")
    ] = None,
    slack: Annotated[
        str, typer.Option(help="Of the worlds: stock over demand, separated by commas.")
    ] = "1.02,1.10,1.30",
    seed: Annotated[int, typer.Option(min=0, help="Of the first world, or of the draws.")] = 0,
    orders: Annotated[int, typer.Option(min=1, help="Orders of a world.")] = 1_500,
    every: Annotated[int, typer.Option(min=1, help="Orders between two epochs of prices.")] = 75,
    horizon_hours: Annotated[
        int, typer.Option(min=1, help="How far prices look ahead on a log.")
    ] = 168,
    unserved: Annotated[
        float, typer.Option(min=0, help="What a unit costs that nobody ships, minor units.")
    ] = 4_000,
    network: Annotated[
        str | None, typer.Option(help="TENANT/NETWORK, where the log has several.")
    ] = None,
    lake: Annotated[
        Path | None, typer.Option(help="Keep the figures in this lake, as the table regret.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw them into this file (.png, .svg, .pdf).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    config: Config = None,
) -> None:
    """Compare the router with simple policies and with the least cost that was possible.

    B0 fixed node priority, B1 nearest, B2 fewest splits, B3 the router without prices, B4 the cheapest
    plan behind a gate, B5 the router with shadow prices, B6 prices and re-evaluation.

    Example: crossdock regret --worlds 10 --slack 1.02,1.10,1.30
    """
    if (log is None) == (worlds is None):
        raise InputError("give either a recorded log or --worlds N")
    with error_console().status("compiling the kernels (once per version)…"):
        warm_up([Flow.ROUTE])
    if worlds is not None:
        cases = list(_worlds(worlds, _slacks(slack), seed, every, orders))
    else:
        assert log is not None
        case = read_case(log, network, load_settings(config).model_dirs, unserved)
        planner = planner_on(case, horizon_hours, seed)
        cases = [(Label(case=log.name), compare(case, planner, every))]
    figures = tabulate(cases)
    if lake is not None:
        write_figures(lake, figures)
    if plot is not None:
        draw(figures, plot)
    if as_json:
        print_json({"policies": by_policy(figures).to_dicts(), "cases": figures.to_dicts()})
    else:
        _print(figures)


def _slacks(text: str) -> list[float]:
    try:
        slacks = [float(part) for part in text.split(",")]
    except ValueError:
        slacks = [0.0]
    if not all(0 < s <= 100 for s in slacks):
        raise InputError(f"--slack {text}: say numbers above 0, such as 1.02,1.10,1.30")
    return slacks


def _worlds(
    count: int, slacks: list[float], first: int, every: int, orders: int
) -> Iterator[tuple[Label, Compared]]:
    with counting("worlds", count * len(slacks)) as advance:
        for slack in slacks:
            for seed in range(first, first + count):
                yield Label("worlds", seed, slack), run_world(seed, slack, every, orders)
                advance(1)


def _print(figures: pl.DataFrame) -> None:
    screen = console()
    if figures["slack"].n_unique() > 1:
        for slack in figures["slack"].unique(maintain_order=True):
            chosen = figures.filter(pl.col("slack") == slack)
            screen.print(_table(f"Stock slack {slack}", by_policy(chosen)))
    cases = figures.select("case", "seed", "slack").n_unique()
    screen.print(_table(f"{cases} cases", by_policy(figures)))


def _table(title: str, rows: pl.DataFrame) -> object:
    return table(
        title,
        _COLUMNS,
        [
            (
                row["policy"],
                money(round(row["cost_minor"])),
                _percent(row["gap"]),
                _percent(row["gap_closed"]),
                _percent(row["gap_closed_least"]),
                _percent(row["dearer_most"]),
                f"{row['splits']:,.1f}",
                _percent(row["splits_change"]),
                row["units_unserved"],
                "-" if row["servable_unserved"] is None else row["servable_unserved"],
                _percent(row["agreement"]),
                _percent(row["first_kept"]),
                _percent(row["feasible"]),
            )
            for row in rows.to_dicts()
        ],
        numbers=_COLUMNS[1:],
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
