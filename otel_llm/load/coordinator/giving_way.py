"""Which process waits when both want the same core: the coordinator, never a worker that sends and receives."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["giving_way"]


@contextmanager
def giving_way() -> Iterator[None]:
    """Have this thread, and those that it starts meanwhile, take no core from whoever is at work on it.

    A worker that hands over a batch wakes the coordinator. Linux then has the woken one run first, for milliseconds in
    which a request may be due; of `SCHED_BATCH` it does not. Nothing changes where there is no such policy, or it is
    not the usual one that is changed.
    """
    usual = getattr(os, "SCHED_OTHER", None)
    try:
        if usual is None or os.sched_getscheduler(0) != usual:
            changed = False
        else:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
            changed = True
    except OSError:  # not allowed
        changed = False
    try:
        yield
    finally:
        if changed:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
