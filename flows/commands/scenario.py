"""``crossdock scenario``: simulated worlds, routed and measured in one command."""

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from flows.commands.group import group_of_commands
from flows.commands.output import console, error_console, print_json, table
from flows.lake.layout import Flow
from flows.scenarios import (
    LARGEST,
    SMALLEST,
    Figure,
    Report,
    generate,
    measure,
    read_scenario,
    route,
    scenario_names,
    setting_of,
)
from flows.warmup import warm_up

app = group_of_commands("Simulated worlds with expected figures: list them, run one.")

OUT_OF_BAND = 1

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]


@app.command("list")
def list_scenarios(as_json: AsJson = False) -> None:
    """What scenarios there are.

    Example: crossdock scenario list
    """
    found = [read_scenario(name) for name in scenario_names()]
    if as_json:
        print_json(
            [{"name": s.name, "title": s.expected.title, "size": s.expected.size} for s in found]
        )
        return
    rows = [(s.name, s.expected.title, s.expected.size) for s in found]
    console().print(table("Scenarios", ("name", "what happens", "orders"), rows, ("orders",)))


@app.command("run")
def run_scenario(
    name: Annotated[str, typer.Argument(help="As crossdock scenario list has it.")],
    seed: Annotated[int | None, typer.Option(min=0, help="Another world of the same sort.")] = None,
    size: Annotated[
        int | None, typer.Option(min=SMALLEST, max=LARGEST, help="Number of orders.")
    ] = None,
    stock_error: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Share of the stock cells whose count is wrong."),
    ] = None,
    lake: Annotated[Path | None, typer.Option(help="Keep the lake here: a new place.")] = None,
    out: Annotated[Path | None, typer.Option(help="Keep the log here: a new place.")] = None,
    as_json: AsJson = False,
) -> None:
    """Simulate a world, route its log with the ordinary flow, and set its figures beside what is expected.

    The log and the lake are thrown away unless a place is named for them. Exit code 1 if a figure leaves
    its band.

    Example: crossdock scenario run last-unit --seed 7
    """
    scenario = read_scenario(name)
    setting = setting_of(scenario, seed, size, stock_error)
    with TemporaryDirectory(prefix="crossdock-") as folder:
        with error_console().status("compiling the kernels (once per version)…"):
            warm_up([Flow.ROUTE])
        with error_console().status(f"simulating {setting.size:,} orders…"):
            log, miscounted = generate(scenario, setting, out or Path(folder) / "log")
        place = lake or Path(folder) / "lake"
        with error_console().status(f"routing {len(log):,} records…"):
            route(log, place)
        with error_console().status("auditing every plan…"):
            report = measure(scenario, setting, log, miscounted, place)
    _print(report, scenario.expected.title, as_json=as_json)
    if not report.is_ok:
        raise typer.Exit(OUT_OF_BAND)


def _print(report: Report, title: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_plain(report))
        return
    screen = console()
    about = f"{report.scenario}: {title} ({report.size:,} orders, seed {report.seed})"
    rows = [
        (figure.name, _shown(figure.value), _band(figure), _verdict(figure), figure.why)
        for figure in report.figures
    ]
    columns = ("figure", "value", "expected", "ok", "why")
    screen.print(table(about, columns, rows, ("value",)))
    for example in report.broken.values():
        screen.print(example, markup=False)


def _plain(report: Report) -> dict[str, Any]:
    figures = [asdict(figure) | {"ok": figure.is_ok} for figure in report.figures]
    return asdict(report) | {"figures": figures, "ok": report.is_ok}


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value == round(value) else f"{value:,.4f}".rstrip("0").rstrip(".")


def _band(figure: Figure) -> str:
    if not figure.has_band:
        return ""
    if figure.least == figure.most:
        return _shown(figure.least)
    if figure.most is None:
        return f"{_shown(figure.least)} or more"
    if figure.least is None:
        return f"{_shown(figure.most)} or less"
    return f"{_shown(figure.least)} to {_shown(figure.most)}"


def _verdict(figure: Figure) -> str:
    if not figure.has_band:
        return ""
    return "yes" if figure.is_ok else "NO"
