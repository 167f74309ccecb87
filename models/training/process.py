"""How a training runs: where real data are looked for, and on how many threads."""

import os
import sys
from pathlib import Path

DATA = Path(__file__).parents[3] / "shared" / "data"
"""Beside the repository; real data are for cards only."""
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def hold_to_one_thread(module: str) -> None:
    """Let a module run on one BLAS thread: NumPy reads the limit as it loads, so the process starts anew."""
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        command = [sys.executable, "-m", module, *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, **ONE_THREAD})
