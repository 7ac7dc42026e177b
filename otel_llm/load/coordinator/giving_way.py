"""Which process waits when both want the same core: the coordinator, never a worker that sends and receives."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["giving_way"]


@contextmanager
def giving_way() -> Iterator[None]:
    """Have this thread, and those that it starts meanwhile, take no core from whoever is at work on it.

    A worker that hands over a batch wakes the coordinator. Linux then has the woken one run first, for milliseconds in
    which a request may be due; of `SCHED_BATCH` it does not. Nothing changes where there is no such policy, or it is
    not the usual one that is changed.
    """
    usual, changed = getattr(os, "SCHED_OTHER", None), False
    with suppress(OSError):  # not allowed
        if usual is not None and os.sched_getscheduler(0) == usual:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
            changed = True
    try:
        yield
    finally:
        if changed:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
