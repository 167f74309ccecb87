"""Settings and servers of all tests.

Tests that need a server are skipped, and say so, where there is none; with
``CROSSDOCK_TEST_SERVERS=required`` they fail there, and no mock stands in for a server.
"""

import os
from collections.abc import Iterator
from typing import NoReturn

import numba
import numpy as np
import pytest
from hypothesis import settings

from tests.support import mosquitto, postgres

settings.register_profile("crossdock", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("crossdock")

if numba.config.DISABLE_JIT:
    # Hashes overflow on purpose; compiled code does so silently.
    np.seterr(over="ignore")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """PostgreSQL of the system's packages."""
    programs = postgres.programs()
    if programs is None:
        _lacking("no PostgreSQL: its server is not installed (package postgresql)")
    with postgres.running(programs) as server:
        yield server


@pytest.fixture(scope="session")
def mosquitto_program() -> str:
    """The MQTT broker of the system's packages."""
    program = mosquitto.program()
    if program is None:
        _lacking("no Mosquitto: it is not installed (package mosquitto)")
    return program


def _lacking(said: str) -> NoReturn:
    if os.environ.get("CROSSDOCK_TEST_SERVERS") == "required":
        pytest.fail(said)
    pytest.skip(said)
