"""Think time: how long a user is busy with an answer before the next request.

    2s                each time
    exponential:2s    on average, as of a user of whom nothing else is known
    uniform:500ms..5s anything between the two

A draw depends on the seed and on the number of the request alone, so that any number of workers draws the same.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

from otel_llm.errors import ConfigError
from otel_llm.units import parse_seconds

__all__ = ["ThinkTime", "parse_think_time"]


@dataclass(frozen=True, slots=True)
class ThinkTime:
    """A distribution of think times. `quantile` takes a share between 0 and 1 and returns seconds."""

    quantile: Callable[[float], float]

    def draw_ns(self, seed: int, request: int) -> int:
        """Return how long the user thinks after the answer to a request, ns."""
        digest = blake2b(f"think {seed} {request}".encode(), digest_size=7).digest()
        return round(self.quantile((int.from_bytes(digest) + 0.5) / (1 << 56)) * 1e9)


def parse_think_time(text: str) -> ThinkTime:
    """Return the think time that the text states. Raises ConfigError for anything else."""
    kind, colon, rest = text.partition(":")
    try:
        if not colon:
            return ThinkTime(partial(_uniform, _seconds(text), _seconds(text)))
        if kind == "exponential":
            return ThinkTime(partial(_exponential, _seconds(rest)))
        if kind == "uniform":
            low, high = map(_seconds, rest.split(".."))
            if low <= high:
                return ThinkTime(partial(_uniform, low, high))
    except ValueError:
        pass
    raise ConfigError("--think-time TIME, exponential:MEAN or uniform:A..B", text)


def _seconds(text: str) -> float:
    seconds = parse_seconds(text)
    if not 0 <= seconds < math.inf:
        raise ValueError(text)
    return seconds


def _uniform(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


def _exponential(mean: float, share: float) -> float:
    return -mean * math.log1p(-share)
