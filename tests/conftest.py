"""Settings of all tests."""

import numba
import numpy as np
from hypothesis import settings

settings.register_profile("crossdock", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("crossdock")

if numba.config.DISABLE_JIT:
    # Hashes overflow on purpose; compiled code does so silently.
    np.seterr(over="ignore")
