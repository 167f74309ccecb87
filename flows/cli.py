"""The command line ``crossdock``: the tree of commands, each imported when it is asked for."""

import typer

from flows.commands.group import CrossdockGroup, Place

COMMANDS: dict[str, Place] = {
    "import": "flows.commands.importing:import_files",
    "replay": "flows.commands.replay:replay",
    "run": "flows.commands.live:run",
    "retire": "flows.commands.live:retire",
    "record": "flows.commands.recording:record",
    "status": "flows.commands.job_status:status",
    "explain": "flows.commands.explain:explain",
    "prices": "flows.commands.prices:prices",
    "regret": "flows.commands.regret:regret",
    "sql": "flows.commands.sql:sql",
    "trace": "flows.commands.trace:trace",
    "twin": "flows.commands.twin:twin",
    "view": "flows.commands.view:view",
    "token": "flows.commands.view:token",
    "schemas": "flows.commands.schemas:schemas",
    "log": "flows.commands.log:app",
    "lake": "flows.commands.lake:app",
    "topics": "flows.commands.live:app",
    "channel": "flows.commands.channel:app",
    "dead-letters": "flows.commands.letters:app",
    "hooks": "flows.commands.hooks:app",
    "inlet": "flows.commands.inlet:app",
    "vault": "flows.commands.vault:app",
    "notify": "flows.commands.notify:app",
    "audit": "flows.commands.audit:app",
    "policy": "flows.commands.policy:app",
    "scenario": "flows.commands.road_worlds:app",
}


class _Commands(CrossdockGroup):
    """All of them, in the order of the help text."""

    places = COMMANDS


app = typer.Typer(
    cls=_Commands,
    help="Order routing and order visibility on one replayable log.",
    epilog="Start with: crossdock replay examples/online-retail/log --lake out/lake",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
