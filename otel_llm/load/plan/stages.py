"""How much load there is to be at each moment of a run: stages, one after the other.

`2:30s 10:60s` is 2 for 30 seconds, then 10 for a minute; `1..50:5m` rises from 1 to 50 in a straight line. Of the last
stage alone the time may be left out: it has no end. What the numbers count is said by who asks: requests per second, or
requests under way.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import numpy as np
from numpy.typing import NDArray

from otel_llm.errors import ConfigError
from otel_llm.units import parse_seconds

__all__ = ["AT_ONCE", "Floats", "Stage", "Stages", "parse_parallel", "parse_rate", "peak_of"]

_HOW: Final = "write 5, 2:30s 10:60s, or 1..50:5m"
_SLOWEST: Final = 1e-9  # one in 30 years
AT_ONCE: Final = ["-1"]
"""What `--rate` says to send everything at time 0."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stage:
    """From `first` to `last`, in a straight line, in `seconds`."""

    first: float
    last: float
    seconds: float

    @property
    def area(self) -> float:
        """The level added up over the time."""
        return self.first * self.seconds if self.first == self.last else (self.first + self.last) / 2 * self.seconds

    @property
    def slope(self) -> float:
        """By how much the level rises each second."""
        return 0.0 if self.first == self.last else (self.last - self.first) / self.seconds

    def __str__(self) -> str:
        level = f"{self.first:g}" if self.first == self.last else f"{self.first:g}..{self.last:g}"
        return level if self.seconds == math.inf else f"{level}:{self.seconds:g}s"


@dataclass(frozen=True, slots=True)
class Stages:
    """A level over time, from 0 seconds on; there is none after the last stage."""

    stages: tuple[Stage, ...]

    @classmethod
    def steady(cls, level: float) -> "Stages":
        """Return one stage without an end."""
        return cls((Stage(level, level, math.inf),))

    @classmethod
    def parse(cls, option: str, texts: Sequence[str]) -> "Stages":
        """Return the stages of an option's values. Raises ConfigError."""
        stages = tuple(_parse(option, text) for text in texts)
        if any(stage.seconds == math.inf for stage in stages[:-1]):
            raise ConfigError(f"a time for each stage of {option} but the last", " ".join(texts), _HOW)
        if not any(max(stage.first, stage.last) >= _SLOWEST for stage in stages):
            raise ConfigError(f"{option} to be above 0", " ".join(texts), _HOW)
        return cls(stages)

    @property
    def seconds(self) -> float:
        """How long all stages take together; inf without an end."""
        return math.fsum(stage.seconds for stage in self.stages)

    @property
    def level(self) -> bool:
        """Whether the level is the same all the time."""
        return len({level for stage in self.stages for level in (stage.first, stage.last)}) == 1

    @property
    def peak(self) -> float:
        """The highest level."""
        return max(max(stage.first, stage.last) for stage in self.stages)

    def when(self, areas: Floats) -> Floats:
        """Return the seconds at which the level has added up to each of `areas`; inf for what it never adds up to."""
        begins = np.array([0.0, *accumulate(stage.seconds for stage in self.stages)])
        before = np.array([0.0, *accumulate(stage.area for stage in self.stages)])
        found = np.full(len(areas), math.inf)
        which = np.searchsorted(before, areas, side="right") - 1
        for number, stage in enumerate(self.stages):
            mine = which == number
            rest = areas[mine] - before[number]
            # of the two ways to write the solution of a quadratic equation, the one that a slope of 0 leaves true
            bottom = stage.first + np.sqrt(np.maximum(stage.first**2 + 2 * stage.slope * rest, 0.0))
            found[mine] = begins[number] + np.divide(2 * rest, bottom, out=np.zeros(len(rest)), where=rest > 0)
        return found

    def next_above(self, level: float, at_s: float) -> float | None:
        """Return the first moment from `at_s` on, in seconds, at which the level is `level` or more; None: never."""
        begin = 0.0
        for stage in self.stages:
            since = max(at_s - begin, 0.0)
            if since < stage.seconds:
                if stage.first + stage.slope * since >= level:
                    return begin + since
                if stage.slope > 0 and stage.last >= level:
                    return begin + (level - stage.first) / stage.slope
            begin += stage.seconds
        return None

    def __str__(self) -> str:
        return " ".join(map(str, self.stages))


def parse_rate(texts: Sequence[str]) -> Stages:
    """Return what `--rate` says, requests per second. Raises ConfigError."""
    return Stages.steady(math.inf) if list(texts) == AT_ONCE else Stages.parse("--rate", texts)


def parse_parallel(texts: Sequence[str]) -> Stages:
    """Return what `--parallel` says, requests under way. Raises ConfigError."""
    stages = Stages.parse("--parallel", texts)
    if any(not level.is_integer() for stage in stages.stages for level in (stage.first, stage.last)):
        raise ConfigError("--parallel as whole numbers", " ".join(texts), _HOW)
    return stages


def peak_of(parallel: int | str | None) -> int:
    """Return the most requests that a closed loop has under way, from `--parallel` as a report keeps it.

    >>> peak_of(None), peak_of(8), peak_of("8:30s 32:60s")
    (1, 8, 32)
    """
    return int(parse_parallel(parallel.split()).peak) if isinstance(parallel, str) else parallel or 1


def _parse(option: str, text: str) -> Stage:
    levels, colon, time = text.partition(":")
    first, dots, last = levels.partition("..")
    try:
        ends = float(first), float(last if dots else first)
        seconds = parse_seconds(time) if colon else math.inf
    except ValueError:
        raise ConfigError(f"{option} as a number or stages", text, _HOW) from None
    if ends[0] != ends[1] and seconds == math.inf:
        raise ConfigError(f"a time for the ramp of {option}", text, f"write {text}:60s")
    if not (min(ends) >= 0 and max(ends) < math.inf and seconds > 0):
        raise ConfigError(f"{option} to be 0 or more, for a time above 0", text, _HOW)
    return Stage(*ends, seconds)
