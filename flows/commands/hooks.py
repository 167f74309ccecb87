"""``crossdock hooks``: what platforms post, durable on the raw topic of its channel."""

from flows.commands.config import Config, kafka_of
from flows.commands.group import group_of_commands
from flows.commands.output import error_console
from flows.guard import Guard, ending_in_order
from flows.hooks.server import HooksJob
from flows.metrics import serve
from flows.settings import load_settings

app = group_of_commands(
    "Take what platforms post: orders, parcels, stock.\n\n"
    "Each table channels.NAME of the settings file with a signature may be posted to at /hooks/NAME. "
    "A request is answered by 200 once its payload is on the raw topic of the channel; crossdock run "
    "makes records of it."
)


@app.command()
def run(config: Config = None) -> None:
    """Receive until SIGTERM or Ctrl-C. Any number of processes may, behind a gateway that ends TLS.

    Example: crossdock hooks run --config crossdock.toml
    """
    settings, guard = load_settings(config), Guard()
    with ending_in_order(guard):
        job = HooksJob(settings, kafka_of(settings), guard)
        if settings.metrics_port is not None:
            serve(job.metrics, guard, settings.metrics_host, settings.metrics_port)
        for name, channel in job.channels.items():
            scheme = channel.signature.scheme if channel.signature is not None else ""
            _say(f"{job.address}/hooks/{name} ({scheme}) to {channel.topic}")
        _say(f"receiving at {job.address}; Ctrl-C ends it")
        job.run()


def _say(text: str) -> None:
    error_console().print(text, markup=False, soft_wrap=True)
