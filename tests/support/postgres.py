"""A PostgreSQL server of the system's packages, with its data in a temporary folder."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "crossdock"
_UNPRIVILEGED = "postgres"
"""The server refuses to run as root: then it runs as the user that the packages make."""


def programs() -> Path | None:
    """Where ``initdb`` and the others are; None where there is no server."""
    on_path = shutil.which("initdb")
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = [Path(on_path)] if on_path else packaged
    return found[-1].resolve().parent if found else None


class PostgresServer:
    """A running server."""

    def __init__(self, programs: Path, port: int) -> None:
        self._programs = programs
        self.address = f"host=127.0.0.1 port={port} user={USER}"

    def database(self) -> str:
        """A database that nobody has used; gives how to connect."""
        name = f"lake_{uuid.uuid4().hex[:12]}"
        self.query("postgres", f"CREATE DATABASE {name}")
        return f"{self.address} dbname={name}"

    def query(self, database: str, statement: str) -> str:
        """What ``psql`` prints."""
        psql = [str(self._programs / "psql"), "-XAt", "-c", statement]
        return subprocess.run(
            [*psql, f"{self.address} dbname={database}"], check=True, capture_output=True, text=True
        ).stdout


@contextmanager
def running(programs: Path) -> Iterator[PostgresServer]:
    """A server that lives as long as the context."""
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-postgres-") as folder,
        socket.socket() as free,
    ):
        user = None
        if os.geteuid() == 0:
            user = _UNPRIVILEGED
            os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        data = f"{folder}/data"

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [programs / program, "-D", data, *arguments], check=True, user=user, cwd=folder,
                stdout=subprocess.DEVNULL,
            )  # fmt: skip

        run("initdb", "--auth=trust", f"--username={USER}", "--no-sync")
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories=''"
        run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", f"{options} -c fsync=off", "start")
        try:
            yield PostgresServer(programs, port)
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
