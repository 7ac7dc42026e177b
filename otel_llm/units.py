"""Quantities as people type them: `300ms`, `0.3`, `2 min`, `1%`."""

from typing import Final

__all__ = ["DURATION", "SHARE", "parse_limit", "parse_seconds", "parse_share"]

DURATION: Final = "seconds, or a number with us, ms, s, min or h"
"""What `parse_seconds` takes, in words."""
SHARE: Final = "a share such as 0.01, or 1%"
"""What `parse_share` takes, in words."""

_SECONDS: Final = {"": 1.0, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}


def parse_seconds(text: str) -> float:
    """Return the seconds of a duration; a number without a unit is seconds. Raises ValueError.

    >>> parse_seconds("300ms"), parse_seconds("0.3"), parse_seconds("2 min")
    (0.3, 0.3, 120.0)
    """
    number, unit = _split(text)
    if number is None or unit not in _SECONDS:
        raise ValueError(f"expected {DURATION}, got {text!r}")
    value = number * _SECONDS[unit]
    return round(value, 12) if unit else value  # 300 * 1e-3 is a little more than 0.3


def parse_limit(text: str, below: float) -> float:
    """Return the seconds of a limit, which has a unit unless it is below so many. Raises ValueError.

    Other tools take such limits in milliseconds. Read as seconds, a plain 500 would be a limit that everything keeps.

    >>> parse_limit("500ms", below=100), parse_limit("0.5", below=100)
    (0.5, 0.5)
    """
    value = parse_seconds(text)
    if below <= value < float("inf") and not _split(text)[1]:
        raise ValueError(f"without a unit it is {text.strip()} seconds: write {text.strip()}ms or {text.strip()}s")
    return value


def parse_share(text: str) -> float:
    """Return the share of a number of 0 to 1, or of a percentage. Raises ValueError.

    >>> parse_share("1%"), parse_share("0.01")
    (0.01, 0.01)
    """
    number, unit = _split(text)
    if number is None or unit not in ("", "%"):
        raise ValueError(f"expected {SHARE}, got {text!r}")
    return round(number / 100, 12) if unit else number


def _split(text: str) -> tuple[float | None, str]:
    """Return the number, None where there is none, and the unit."""
    plain = text.strip()
    for cut in range(len(plain), 0, -1):  # the longest number: `1e3ms` is a thousand, `inf` is no unit
        try:
            return float(plain[:cut]), plain[cut:].strip()
        except ValueError:
            continue
    return None, plain
