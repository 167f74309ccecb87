"""What yields to decisions: the lake's thread and the one that writes checkpoints."""

import os
import sys
import threading

LOWER = 10
"""As ``nice`` counts."""


def yield_to_others() -> None:
    """Give this thread a lower priority, where threads have one of their own (Linux)."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWER)
