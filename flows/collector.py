"""Python's garbage collector, kept from looking at what stays and at what is gone in a moment."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG = 50_000
"""So many new objects are looked at together: most of a batch's are gone by then."""


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """While a flow runs, what was loaded before it is left alone, and the rest is looked at now and then.

    To look through all of it again and again took more than half of ingest's time (measured).
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(YOUNG, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
