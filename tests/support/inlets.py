"""Inlets on a broker in this process: their settings as an operator writes them, and what they have kept."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest

from flows.guard import Guard
from flows.inlets.job import InletsJob
from flows.kafka.client import KafkaSettings
from flows.settings import Settings, load_settings
from tests.support import jobs
from tests.support.broker import all_of

CHANNEL = "stock"
NOWHERE = KafkaSettings(bootstrap="127.0.0.1:9", group="nowhere")
"""A cluster that is not there, for what is wrong before it is asked."""


def topic(kafka: KafkaSettings) -> str:
    """Of the channel."""
    return f"{kafka.group}.{CHANNEL}"


def config(folder: Path, kafka: KafkaSettings, way: str, inlets: str = "") -> Path:
    """A settings file with a channel that is fetched for by this way."""
    file = folder / "crossdock.toml"
    file.write_text(
        f'[kafka]\nbootstrap = "{kafka.bootstrap}"\ndead_letters = "{kafka.dead_letters}"\n'
        f'[inlets]\nstate = "{folder / "state"}"\nkeep_seconds = 1\n{inlets}\n'
        f'[channels.{CHANNEL}]\nmapping = "shopify"\ntopic = "{topic(kafka)}"\n'
        f'tenant = "acme"\nnetwork = "eu"\n{way}\n'
    )
    return file


def job_of(file: Path) -> InletsJob:
    """What fetches by these settings."""
    settings: Settings = load_settings(file)
    assert settings.kafka is not None
    return InletsJob(settings, settings.kafka, Guard())


@contextmanager
def at_work(file: Path) -> Iterator[InletsJob]:
    """The same while it works."""
    job = job_of(file)
    thread = threading.Thread(target=job.run)
    thread.start()
    try:
        yield job
    finally:
        job.guard.stop()
        thread.join()


def started(file: Path) -> jobs.Job:
    """The same as a process of its own, once it works."""
    process = jobs.command("inlet", "run", "--config", file)
    assert process.stderr is not None
    assert any(b"Ctrl-C ends it" in line for line in iter(process.stderr.readline, b""))
    return process


def kept(kafka: KafkaSettings) -> list[Any]:
    """Payloads on the topic of the channel, decoded."""
    return [json.loads(value) for _, value in all_of(kafka, topic(kafka))]


def metric(job: InletsJob, start: str) -> float:
    """The value of the metric whose line begins so; nothing is 0."""
    lines = generate_latest(job.metrics.registry).decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(start))
