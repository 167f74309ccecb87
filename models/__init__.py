"""Every decision, pure: no clock, randomness, environment, file, network, thread or log.

One exception is made on import: compiled kernels are cached on disk under a digest of every source that
they can depend on. Numba alone notices a change only in the file of the kernel itself, and would run a
stale kernel when a function that it calls, or a code that it compares with, has changed elsewhere.
"""

import hashlib
import os
import tempfile
from pathlib import Path

import numba


def _kernel_cache() -> Path:
    here = Path(__file__).parent
    names = ("evaluation", "evidence", "forecasting", "planning", "simulation", "training")
    apart = {here / name for name in names}  # no kernel is in them, nor depends on them
    own = (p for p in here.rglob("*.py") if apart.isdisjoint(p.parents))
    sources = sorted([*own, *here.with_name("schemas").glob("*.py")])
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in sources)).hexdigest()[:16]
    home = here / "__pycache__"
    home.mkdir(exist_ok=True) if os.access(here, os.W_OK) else None
    writable = os.access(home, os.W_OK)
    parent = home if writable else Path(tempfile.gettempdir()) / f"crossdock-{os.getuid()}"
    return parent / f"kernels-{numba.__version__}-{digest}"


numba.config.CACHE_DIR = str(_kernel_cache())
