"""Figures of calls: counts and percentiles, exact where the calls are held, else from histograms; each says which."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from otel_llm.measures import Floats, percentile
from otel_llm.percentiles import BRIEF, percentile_name
from otel_llm.receiver.histogram import ExponentialHistogram
from otel_llm.view.calls import OK, OTHER, Held, Rows
from otel_llm.view.histograms import Arrived

__all__ = ["SHOWN", "figure_of_values", "figures_of", "figures_of_groups"]

SHOWN: Final = ("first_token", "between_tokens", "per_token", "duration", "queue")
"""Measures, in seconds. All but `between_tokens` are columns of the calls: spans do not say each gap."""


def figures_of_groups(
    held: Held, rows: Rows, arrived: Sequence[Arrived], seconds: float, exact: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the figures of each group, the busiest first; those of no model's calls are left out.

    rows: the calls of the window; seconds: how long it is; exact: between tokens, by run, from elsewhere
    """
    numbers = {group: number for number, group in enumerate(held.groups)}
    wanted = {held.groups[number] for number in np.unique(rows["group"]).tolist()} | {each.group for each in arrived}
    found = []
    for group in wanted:
        if group.seen_by != OTHER:
            mine = rows[rows["group"] == numbers.get(group, -1)]
            theirs = [each for each in arrived if each.group == group]
            found.append({**group._asdict(), **figures_of(mine, theirs, seconds, exact.get(group.run))})
    return sorted(found, key=lambda each: (-each["requests"], each["model"], each["service"], each["seen_by"]))


def figures_of(rows: Rows, arrived: Sequence[Arrived], seconds: float, gaps: Any = None) -> dict[str, Any]:
    """Return requests, failures and the figure of each measure; percentiles are of calls that succeeded.

    gaps: the figure between tokens, where something knows it exactly
    """
    good = rows[rows["state"] == OK]
    durations = [each for each in arrived if each.measure == "duration" and each.rank == _first_rank(arrived)]
    counted = sum(each.histogram.count for each in durations)
    failed = int((rows["state"] > OK).sum())
    if counted > len(rows):  # not every call has a span here
        failed = sum(each.histogram.count for each in durations if each.failed)
    requests = max(len(rows), counted)
    measures = {name: _figure(name, good, arrived) for name in SHOWN}
    if gaps is not None:
        measures["between_tokens"] = gaps
    tokens = float(np.nansum(rows["tokens"]))
    return {
        "requests": requests,
        "failed": failed,
        "per_second": requests / seconds if seconds else None,
        "tokens_per_second": tokens / seconds if seconds and tokens else None,
        "measures": {name: figure for name, figure in measures.items() if figure is not None},
    }


def figure_of_values(values: Floats) -> dict[str, Any] | None:
    """Return count and percentiles of values, by the rule of every report; None of none."""
    ordered = np.sort(values[~np.isnan(values)])
    if not len(ordered):
        return None
    at = {percentile_name(q): percentile(ordered, q) for q in BRIEF}
    return {"count": len(ordered), **at, "max": float(ordered[-1]), "from": "calls"}


def _figure(measure: str, good: Rows, arrived: Sequence[Arrived]) -> dict[str, Any] | None:
    """Return the figure of the calls; that of histograms where those saw more calls, as of traces that are sampled."""
    exact = None if measure == "between_tokens" else figure_of_values(good[measure])
    merged = _figure_of_histograms(measure, arrived)
    if exact is None or (merged is not None and merged["count"] > exact["count"]):
        return merged
    return exact


def _figure_of_histograms(measure: str, arrived: Iterable[Arrived]) -> dict[str, Any] | None:
    mine = [each for each in arrived if each.measure == measure and not each.failed]
    if not mine:
        return None
    rank = min(each.rank for each in mine)
    total, *others = _copies(each for each in mine if each.rank == rank)
    for each in others:
        try:
            total = total.add(each)
        except (ValueError, AttributeError):  # other buckets: their sum has no percentiles
            return None
    if not total.count:
        return None
    at = {percentile_name(q): total.quantile(q / 100) for q in BRIEF}
    exponential = isinstance(total, ExponentialHistogram)
    return {
        "count": total.count,
        **at,
        "max": total.max,
        "from": "exponential histogram" if exponential else "histogram",
        "metric": next(each.name for each in mine if each.rank == rank),
        "within": total.width if exponential else None,
    }


def _copies(arrived: Iterable[Arrived]) -> Iterator[Any]:
    """Yield the histograms; the first as one that may be added to."""
    for number, each in enumerate(arrived):
        yield each.histogram.copy() if number == 0 else each.histogram


def _first_rank(arrived: Iterable[Arrived]) -> int:
    return min((each.rank for each in arrived if each.measure == "duration"), default=0)
