"""Settings and servers of all tests.

Tests that need a server are skipped, and say so, where there is none; with
``CROSSDOCK_TEST_SERVERS=required`` they fail there.
"""

import os
from collections.abc import Iterator

import numba
import numpy as np
import pytest
from hypothesis import settings

from tests.support import postgres

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
        need = (
            pytest.fail if os.environ.get("CROSSDOCK_TEST_SERVERS") == "required" else pytest.skip
        )
        need("no PostgreSQL: its server is not installed (package postgresql)")
    with postgres.running(programs) as server:
        yield server
