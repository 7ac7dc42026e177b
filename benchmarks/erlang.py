"""What Erlang's formulas say of a queue with c slots: requests come at random, service is exponential (M/M/c)."""

import math

__all__ = ["erlang_c", "time_beyond", "wait_beyond"]


def erlang_c(slots: int, load: float) -> float:
    """Return the share of requests that wait, at this share of what the slots can do.

    >>> round(erlang_c(1, 0.7), 9), round(erlang_c(2, 0.5), 9)
    (0.7, 0.333333333)
    """
    blocked, offered = 1.0, slots * load
    for servers in range(1, slots + 1):  # Erlang B, by its recursion
        blocked = offered * blocked / (servers + offered * blocked)
    return blocked / (1 - load * (1 - blocked))


def wait_beyond(seconds: float, slots: int, load: float, mean_s: float) -> float:
    """Return the share of requests that wait for longer than that."""
    return erlang_c(slots, load) * math.exp(-slots * (1 - load) / mean_s * seconds)


def time_beyond(seconds: float, slots: int, load: float, mean_s: float) -> float:
    """Return the share of requests that wait and are answered in more than that."""
    served, emptied, waits = 1 / mean_s, slots * (1 - load) / mean_s, erlang_c(slots, load)
    if math.isclose(served, emptied):
        both = (1 + served * seconds) * math.exp(-served * seconds)
    else:
        both = (emptied * math.exp(-served * seconds) - served * math.exp(-emptied * seconds)) / (emptied - served)
    return (1 - waits) * math.exp(-served * seconds) + waits * both
