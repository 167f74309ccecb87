"""Threads that yield to decisions: they alone, and never more than there is to yield."""

import os
import sys
import threading

import pytest

from flows.priority import LOWER_BY, yield_to_others

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority here")


def priority() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_a_thread_yields_and_the_others_do_not() -> None:
    before, seen = priority(), []

    def work() -> None:
        for _ in range(3):
            yield_to_others()
            seen.append(priority())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert seen == [min(19, before + LOWER_BY * times) for times in (1, 2, 3)]
    assert priority() == before
