"""The comparison as a table in Markdown."""

from collections.abc import Sequence

import numpy as np

from benchmarks.peers.comparison import Standing

__all__ = ["table"]

_HEAD = (
    "tool",
    "first token, mean",
    "first token, p99",
    "ITL p50",
    "ITL p99",
    "µs CPU a packet",
    "start, CPU s",
    "packets/s",
    "streams at once",
    "tokens",
    "said it was late",
)
_MEASURES = ("ttft_mean", "ttft_p99", "itl_p50", "itl_p99")


def table(standings: Sequence[Standing]) -> str:
    """Return it; errors in ms, the median of the rounds with the least and the most behind it."""
    rows = [_HEAD, ("---",) * len(_HEAD)]
    rows += [_row(standing) for standing in standings if standing.truths]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _row(standing: Standing) -> tuple[str, ...]:
    made = standing.tool.environment
    said = [reading.said_late for reading in standing.readings if reading.said_late]
    return (
        f"{standing.tool.name} {made.version}" if made else standing.tool.name,
        *(_spread(standing.errors(name), 1e3, "+.2f") for name in _MEASURES),
        f"{standing.least_cost() * 1e6:.1f} ({_ends(standing.cost(), 1e6, '.1f')})",
        f"{standing.start():.1f}",
        f"{np.median([truth.packets_per_s for truth in standing.truths]):,.0f}",
        f"{min(standing.peaks)}",
        _tokens(standing),
        f"{len(said)} of {len(standing.readings)} rounds: {said[-1]}" if said else "no",
    )


def _tokens(standing: Standing) -> str:
    """Say whether every token was counted in every round; "-" where the tool counts none."""
    for reading, truth in zip(standing.readings, standing.truths, strict=True):
        if reading.tokens is None:
            return "-"
        if reading.tokens != truth.tokens:
            return f"{reading.tokens:,} of {truth.tokens:,}"
    return "all"


def _spread(values: Sequence[float], scale: float, form: str) -> str:
    """Return the median, and what it lies between where there are several."""
    if not values:
        return "-"
    middle = format(float(np.median(values)) * scale, form)
    return middle if len(values) == 1 else f"{middle} ({_ends(values, scale, form)})"


def _ends(values: Sequence[float], scale: float, form: str) -> str:
    return f"{min(values) * scale:{form}} to {max(values) * scale:{form}}"
