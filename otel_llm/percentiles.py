"""Which percentiles are shown where, and the one rule by which they are computed: numpy's linear one.

The summary block of `llmuses perf` keeps its own list and its own rule (`load.show.llmuses_format`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BRIEF", "IN_SPAN", "IN_TABLE", "REPORTED", "percentile", "percentile_name"]

REPORTED: Final = (50, 66, 75, 80, 90, 95, 98, 99, 99.9)
"""Of every measure of a report. docs/report.schema.json names them too."""
IN_TABLE: Final = (50, 90, 95, 99)
"""The columns of the table that a run ends with: some of those reported."""
BRIEF: Final = (50, 90, 99)
"""Where there is room for few: the live display, the client's own lateness, the demo, a request's terms of an SLO."""
IN_SPAN: Final = (50, 99)
"""Of the inter-token latencies of one call, as attributes of its span."""


def percentile_name(q: float) -> str:
    """Return the name of a percentile.

    >>> percentile_name(50), percentile_name(99.9)
    ('p50', 'p99.9')
    """
    return f"p{q}"


def percentile(ordered: "Sequence[float] | NDArray[Any]", q: float, count: int | None = None) -> float | None:
    """Return the q-th percentile (0..100) of ascending values, as `numpy.percentile` would. None of no values.

    count: how many values there are, where those beyond the end of `ordered` are infinite; None for a percentile that
    takes one of these

    >>> percentile([1.0, 2.0, 3.0, 4.0], 50)
    2.5
    >>> percentile([1.0, 2.0, 3.0], 50, count=4), percentile([1.0, 2.0, 3.0], 90, count=4)
    (2.5, None)
    """
    if count is None:
        count = len(ordered)
    position = (count - 1) * q / 100
    low = int(position)
    high = min(low + 1, count - 1) if position > low else low
    if not count or high >= len(ordered):
        return None
    return float(ordered[low] + (ordered[high] - ordered[low]) * (position - low))
