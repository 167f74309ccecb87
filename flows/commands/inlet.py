"""``crossdock inlet``: what is fetched for channels, durable on the raw topic of each."""

from typing import Annotated

import typer

from flows.commands.config import Config, kafka_of
from flows.commands.group import group_of_commands
from flows.commands.output import error_console
from flows.guard import Guard, ending_in_order
from flows.inlets.job import InletsJob
from flows.metrics import serve
from flows.settings import load_settings

app = group_of_commands(
    "Fetch what does not come by itself: files in folders, answers of addresses, messages of devices.\n\n"
    "Each table channels.NAME of the settings file with folder, poll or mqtt is fetched for. What is "
    "fetched counts as taken once it is on the raw topic of the channel; crossdock run makes records of it."
)


@app.command()
def run(
    channels: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CHANNEL...]", help="All that are fetched for without."),
    ] = None,
    config: Config = None,
    once: Annotated[
        bool, typer.Option("--once", help="Take what is there, and end (folder, poll).")
    ] = False,
) -> None:
    """Fetch until SIGTERM or Ctrl-C; one process for a channel.

    Examples:
      crossdock inlet run --config crossdock.toml
      crossdock inlet run stock --once --config crossdock.toml
    """
    settings, guard = load_settings(config), Guard()
    with ending_in_order(guard):
        job = InletsJob(settings, kafka_of(settings), guard, channels or ())
        if settings.metrics_port is not None:
            serve(job.metrics, guard, settings.metrics_host, settings.metrics_port)
        if once:
            job.run_once()
            return
        for name, way, topic in job.ways:
            _say(f"{name} ({way}) to {topic}")
        _say("fetching; Ctrl-C ends it")
        job.run()


def _say(text: str) -> None:
    error_console().print(text, markup=False, soft_wrap=True)
