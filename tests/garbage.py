"""Count what only the garbage collector frees."""

import gc
from collections.abc import Callable


def garbage_of(act: Callable[[], object], rounds: int = 5) -> int:
    """Return how many objects `act` leaves to the collector.

    The fewest of all rounds: what other threads of the test process drop in between comes in one of them, what is
    of `act` comes in each.
    """
    left = []
    gc.disable()
    try:
        act()  # what only a first time leaves: imports, caches
        for _ in range(rounds):
            gc.collect()
            act()
            left.append(gc.collect())
    finally:
        gc.enable()
    return min(left)
