"""Garbage collection during a run: almost none."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["rare_collections"]

_COLLECT_AFTER: Final = 50_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """Freeze what is there and raise the collection threshold: collections took a tenth of the coordinator's time.

    Little of what a run makes is cyclic. A worker that is forked meanwhile never looks through what it inherits.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
