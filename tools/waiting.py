"""Ask again until there is an answer, for a limited time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.05


def until(ask: Callable[[], T], within_s: float) -> T:
    """The first answer of `ask` that is true, or its last one after `within_s` seconds."""
    deadline = time.monotonic() + within_s
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return answer
