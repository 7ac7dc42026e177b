"""Latency over time: how many values lie in each cell, percentiles of each column, and the slowest call of each."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from otel_llm.measures import Floats, percentile
from otel_llm.receiver.histogram import ExponentialHistogram
from otel_llm.view.calls import OK, Held, Rows
from otel_llm.view.histograms import SLOT_S, Arrived, Exemplar

__all__ = ["course_of", "heatmap_of_calls", "heatmap_of_histograms"]

_COLUMNS: Final = 60
_ROWS: Final = 24
_DECADES: Final = 1e4
"""By how much the highest edge exceeds the lowest one at most."""


def heatmap_of_calls(held: Held, rows: Rows, measure: str, start: float, end: float) -> dict[str, Any] | None:
    """Return the heatmap of a measure of calls that succeeded, and its dots: the slowest of each column.

    start, end: Unix time, s. None where no call has a value.
    """
    good = rows[(rows["state"] == OK) & ~np.isnan(rows[measure])]
    if not len(good):
        return None
    moments, values = good["start_ns"] / 1e9, good[measure]
    found = _heatmap(moments, values, np.ones(len(good)), start, end)
    column = _column(moments, start, end)
    order = np.lexsort((values, column))
    ordered, ends = values[order], np.searchsorted(column[order], np.arange(_COLUMNS + 1)).tolist()
    parts = list(pairwise(ends))
    found["p50"], found["p99"] = ([percentile(ordered[low:high], q) for low, high in parts] for q in (50, 99))
    found["dots"] = [_dot(held, good[order[high - 1]], measure) for low, high in parts if high > low]
    return found


def heatmap_of_histograms(
    arrived: Sequence[Arrived], exemplars: Sequence[Exemplar], start: float, end: float
) -> dict[str, Any] | None:
    """Return the heatmap of histograms of one measure; its dots are exemplars."""
    points = [point for each in arrived for point in _middles(each)]
    if not points:
        return None
    moments, values, counts = np.array(points).T
    found = _heatmap(moments, values, counts, start, end)
    found["p50"] = found["p99"] = None
    shown = {int(_column(np.array([each.at_ns / 1e9]), start, end)[0]): each for each in
             sorted(exemplars, key=lambda each: each.value) if each.at_ns / 1e9 >= start}  # fmt: skip
    found["dots"] = [
        {"at": each.at_ns / 1e9, "value": each.value, "trace": each.trace_id, "model": each.group.model}
        for each in shown.values()
    ]
    return found


def course_of(rows: Rows, start: float, end: float) -> dict[str, Any]:
    """Return how many calls ended in each column: those that succeeded or were cut off, and those that failed."""
    ended = rows["start_ns"] / 1e9 + rows["duration"]
    column, failed = _column(ended, start, end), rows["state"] > OK
    good, bad = (np.bincount(column[mask], minlength=_COLUMNS).tolist() for mask in (~failed, failed))
    return {"start": start, "end": end, "good": good, "failed": bad}


def _heatmap(moments: Floats, values: Floats, counts: Floats, start: float, end: float) -> dict[str, Any]:
    high = float(values.max()) or 1e-3
    low = max(float(values.min()), high / _DECADES)
    edges = np.geomspace(low * 0.999, high * 1.001 if high > low else low * 2, _ROWS + 1)
    row = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, _ROWS - 1)
    place = _column(moments, start, end) * _ROWS + row
    cells = np.bincount(place, counts, _COLUMNS * _ROWS)
    there = np.flatnonzero(cells)
    return {
        "start": start,
        "end": end,
        "columns": _COLUMNS,
        "edges": edges.tolist(),
        "cells": [[int(at) // _ROWS, int(at) % _ROWS, float(cells[at])] for at in there],
    }


def _column(moments: Floats, start: float, end: float) -> Any:
    return np.clip((moments - start) / max(end - start, 1e-9) * _COLUMNS, 0, _COLUMNS - 1).astype(np.int64)


def _dot(held: Held, row: Any, measure: str) -> dict[str, Any]:
    return {
        "at": float(row["start_ns"]) / 1e9,
        "value": float(row[measure]),
        "call": int(row["key"]),
        "model": held.groups[row["group"]].model,
    }


def _middles(arrived: Arrived) -> Iterator[tuple[float, float, float]]:
    """Yield moment, value and count of each bucket of a histogram, as if all in it were in its middle."""
    moment, histogram = arrived.slot + SLOT_S / 2, arrived.histogram
    if isinstance(histogram, ExponentialHistogram):
        for i, n in histogram.buckets.items():
            yield moment, 2.0 ** ((i + 0.5) * 2.0**-histogram.scale), n
        return
    bounds = histogram.bounds
    for i, n in enumerate(histogram.counts):
        if n and bounds:
            low, high = bounds[max(i - 1, 0)] if i else bounds[0] / 2, bounds[min(i, len(bounds) - 1)]
            yield moment, max((low + high) / 2, 1e-6), n
