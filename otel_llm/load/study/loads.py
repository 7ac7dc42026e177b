"""The loads of a study: a list, or ranges such as `1..64:x2` and `10..50:+10`."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

from otel_llm.errors import ConfigError

__all__ = ["AUTO", "Load", "Loop", "parse_loads"]

Loop = Literal["rate", "parallel"]

AUTO: Final = "auto"
"""Loads that a sweep finds itself (study.auto)."""
_HOW: Final = "write 1 2 4 8, or 1..64:x2, or 10..50:+10"
_RANGE: Final = re.compile(r"([^.].*?)\.\.([^:]+):([x+])(.+)")
_MOST: Final = 1000
_UNITS: Final = {"rate": "/s", "parallel": " in parallel"}


class Load(NamedTuple):
    """How much is asked of the server: requests per second, or requests in progress at any time."""

    loop: Loop
    value: float

    def __str__(self) -> str:
        return f"{self.value:g}{_UNITS[self.loop]}"


def parse_loads(loop: Loop, texts: Sequence[str]) -> list[Load]:
    """Return the loads that `--rate` or `--parallel` lists, ascending, each once. Raises ConfigError."""
    values = sorted({value for text in texts for value in _values(loop, text)})
    if loop == "parallel" and any(not value.is_integer() for value in values):
        raise ConfigError("whole numbers of requests for --parallel", " ".join(texts), _HOW)
    return [Load(loop, value) for value in values]


def _values(loop: Loop, text: str) -> Iterator[float]:
    found = _RANGE.fullmatch(text)
    try:
        numbers = [float(text)] if found is None else [float(found[1]), float(found[2]), float(found[4])]
    except ValueError:
        raise ConfigError(f"loads for --{loop}", text, _HOW) from None
    if not all(0 < number < math.inf for number in numbers):
        raise ConfigError(f"loads above 0 for --{loop}", text, _HOW)
    if found is None:
        yield numbers[0]
        return
    first, last, step = numbers
    if first > last or (found[3] == "x" and step <= 1):
        raise ConfigError(f"a range that rises for --{loop}", text, _HOW)
    for count in range(_MOST + 1):
        value = first * step**count if found[3] == "x" else first + step * count
        if value > last * (1 + 1e-9):
            return
        yield round(value, 9)
    raise ConfigError(f"at most {_MOST:,} loads for --{loop}", text, "take a longer step")
