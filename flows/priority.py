"""What yields to decisions: the lake's thread and the one that writes checkpoints."""

import os
import sys
import threading

LOWER_BY = 10
"""As ``nice`` counts; more is a lower priority."""
_LOWEST = 19


def yield_to_others() -> None:
    """Give this thread a lower priority, where threads have one of their own (Linux)."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        now = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, min(_LOWEST, now + LOWER_BY))
