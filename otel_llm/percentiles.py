"""Which percentiles are shown where. `measures.percentile` is the one rule by which they are computed.

The summary block of `llmuses perf` keeps its own list and its own rule (`load.show.llmuses_format`).
"""

from typing import Final

__all__ = ["BRIEF", "IN_SPAN", "IN_TABLE", "REPORTED", "percentile_name"]

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
