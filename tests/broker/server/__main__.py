"""Run a command beside an Apache Kafka that lives as long as the command.

Usage: python -m tests.broker.server COMMAND...

Needs Java 17 and Maven. The jars are fetched once, into ``.cache/kafka``; the data is in a temporary
folder. The command finds the broker by ``CROSSDOCK_TEST_BOOTSTRAP``.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.broker.server.process import KafkaServer, fetch


def main(command: list[str]) -> int:
    """Fetch, start, run, stop."""
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is needed to run Apache Kafka, and is not on the PATH")
    fetch()
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-kafka-") as folder,
        KafkaServer(Path(folder)) as server,
    ):
        return subprocess.run(
            command, env={**os.environ, "CROSSDOCK_TEST_BOOTSTRAP": server.address}, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
