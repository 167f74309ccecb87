"""The command line ``crossdock``: the tree of commands, each from its module in ``commands``."""

import typer

from flows.commands import audit, lake, letters, live, log, notify, policy, scenario
from flows.commands.explain import explain
from flows.commands.group import CrossdockGroup
from flows.commands.importing import import_files
from flows.commands.job_status import status
from flows.commands.prices import prices
from flows.commands.recording import record
from flows.commands.regret import regret
from flows.commands.replay import replay
from flows.commands.road_worlds import compare_sync, judge_alarms
from flows.commands.schemas import schemas
from flows.commands.sql import sql
from flows.commands.trace import trace
from flows.commands.twin import twin
from flows.commands.view import token, view

app = typer.Typer(
    cls=CrossdockGroup,
    help="Order routing and order visibility on one replayable log.",
    epilog="Start with: crossdock replay examples/online-retail/log --lake out/lake",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("import")(import_files)
app.command("replay")(replay)
app.command("run")(live.run)
app.command("retire")(live.retire)
app.command("record")(record)
app.command("status")(status)
app.command("explain")(explain)
app.command("prices")(prices)
app.command("regret")(regret)
app.command("sql")(sql)
app.command("trace")(trace)
app.command("twin")(twin)
app.command("view")(view)
app.command("token")(token)
app.command("schemas")(schemas)
scenario.app.command("alarms")(judge_alarms)
scenario.app.command("sync")(compare_sync)
app.add_typer(log.app, name="log")
app.add_typer(lake.app, name="lake")
app.add_typer(live.app, name="topics")
app.add_typer(letters.app, name="dead-letters")
app.add_typer(notify.app, name="notify")
app.add_typer(audit.app, name="audit")
app.add_typer(policy.app, name="policy")
app.add_typer(scenario.app, name="scenario")


@app.callback(invoke_without_command=True)
def start(context: typer.Context) -> None:
    """Order routing and order visibility on one replayable log."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Entry point of the console script."""
    app(prog_name="crossdock")


if __name__ == "__main__":
    main()
