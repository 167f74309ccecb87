"""The ingest flow with all that it writes to, in this process, until something has come about."""

import threading
import time
from collections.abc import Callable

from flows.crossref import CrossReferences
from flows.guard import Guard
from flows.ingest import IngestJob, run
from flows.journals import KafkaJournal
from flows.kafka.client import KafkaSettings
from flows.settings import Settings
from schemas.topics import LogOf


def ingest(cluster: KafkaSettings, settings: Settings, until: Callable[[IngestJob], bool]) -> None:
    """Run the flow until something is true of its job."""
    guard = Guard()
    job = IngestJob(
        cluster,
        KafkaJournal(cluster, guard),
        settings,
        guard,
        CrossReferences(cluster, settings, guard),
        KafkaJournal(cluster, guard, LogOf.TRACKING),
    )

    def watch() -> None:
        deadline = time.monotonic() + 60
        while not until(job) and time.monotonic() < deadline:
            time.sleep(0.01)
        guard.stop()

    watcher = threading.Thread(target=watch)
    watcher.start()
    run(job)
    watcher.join()


def read(topic: str, messages: int) -> Callable[[IngestJob], bool]:
    """Whether so many of a topic have been read."""
    return lambda job: sum(n for (name, _), n in job.reader.at.items() if name == topic) >= messages
