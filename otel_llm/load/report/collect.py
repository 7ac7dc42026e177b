"""From a run file to what its charts show, in one pass: values are counted in parts, none is left out.

The figures of the report are there already; of the requests only what a chart needs is read, many at a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from otel_llm.load.figures.verdict import ClientError
from otel_llm.load.report.model import Distribution, OverTime, SlowRequest, TimelineRow
from otel_llm.measures import Bools, ChunkTable, Floats, Ints, gaps_in, percentile
from otel_llm.percentiles import BRIEF, percentile_name
from otel_llm.sinks.stored_run import read_columns, unpack

__all__ = ["Collected", "collect"]

_PART: Final = 1000
_CUT, _FAILED, _WHOLE, _STREAMED = range(4)
_COLUMNS: Final = (
    f"rowid, CASE WHEN outcome = 'complete' THEN {_WHOLE} + (first_chunk_latency IS NOT NULL) "
    f"WHEN outcome IN ('cancelled', 'closed_early') THEN {_CUT} ELSE {_FAILED} END, "
    "intended_time, start_time, completed_time, time_to_first_token, chunks"
)
"""The second says how a request ended, and whether a whole answer was streamed: a number costs less than texts do."""
_SENT: Final = "run_id = ? AND start_time IS NOT NULL"
_BINS: Final = 240
_SKEWED: Final = 8
"""By how many times the largest value shown exceeds the median, where the axis is logarithmic."""
_LEAST: Final = 100
"""By how many times the median exceeds the smallest value shown, there."""
_WIDTHS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
_PARTS_OF_TIME: Final = 100
_TIMELINE: Final = 200
_SLOWEST: Final = 5
_SHOWN: Final = (50, 99)


class Collected(NamedTuple):
    """What `collect` finds in a run file."""

    distributions: Sequence[Distribution]
    over_time: OverTime | None
    timeline: Sequence[TimelineRow]
    slowest_answers: Sequence[SlowRequest]
    slowest_first_tokens: Sequence[SlowRequest]


class _Requests(NamedTuple):
    """A column per request that was sent, in the order in which they ended; NaN where there is none."""

    row: Ints
    ok: Ints
    failed: Ints
    intended: Floats
    sent: Floats
    ended: Floats
    first_token: Floats
    """Seconds since it was sent."""

    @property
    def latency(self) -> Floats:
        return self.ended - self.sent


def collect(path: Path, run_id: str, figures: Mapping[str, Any]) -> Collected:
    """Return what is to be shown of a run. Raises ConfigError when it is no run file.

    figures: the report of the run, whose percentiles are marked
    """
    gaps, firsts = _Counter("inter_token_latency", figures), _Counter("time_to_first_token", figures)
    client = ClientError() if _was_limited(figures) else None
    ((first,),) = next(read_columns(path, "min(start_time)", _SENT, (run_id,), 1))
    tokens = _Tokens(first or 0.0, _width(figures["duration"]))
    parts = []
    for rows in read_columns(path, _COLUMNS, _SENT, (run_id,), _PART):
        part, streamed, chunks = _read(rows, first or 0.0, lags=client is not None)
        parts.append(part)
        firsts.add(part.first_token[part.ok & ~np.isnan(part.first_token)])
        gap_s, count, _, _ = gaps_in(chunks, streamed)
        gaps.add(np.repeat(gap_s / np.maximum(count, 1), count))
        tokens.add(chunks)
        if client is not None:
            client.add_reads(chunks, streamed)
    distributions = [each.distribution() for each in (firsts, gaps) if each.total]
    if not parts:
        return Collected(distributions, None, (), (), ())
    found = _Requests(*map(np.concatenate, zip(*parts, strict=True)))
    limited = [(second - first, second + 1 - first) for second in (client.limited_seconds if client else ())]
    return Collected(
        distributions,
        _over_time(found, tokens, limited),
        list(_timeline(path, found)),
        list(_slowest(path, found, found.latency)),
        list(_slowest(path, found, found.first_token)),
    )


def _width(duration: float) -> float:
    return next((each for each in _WIDTHS if duration <= each * _PARTS_OF_TIME), _WIDTHS[-1])


def _was_limited(figures: Mapping[str, Any]) -> bool:
    """Return whether the client was late itself in any second, as far as the report knows."""
    return figures["client"] is None or figures["client"]["windows"]["limited"] > 0


def _read(rows: Sequence[Sequence[Any]], start: float, *, lags: bool) -> tuple[_Requests, Bools, ChunkTable]:
    """Return requests, which of them were streamed and came whole, and their chunks."""
    row, ended_as, *columns, blobs = zip(*rows, strict=True)
    end = np.array(ended_as, np.int8)
    planned, begun, over, first = (np.array(each, np.float64) for each in columns)
    found = _Requests(np.array(row), end >= _WHOLE, end == _FAILED, planned - start, begun - start, over - start, first)
    return found, end == _STREAMED, ChunkTable(**unpack(blobs, lags=lags))


class _Counter:
    """Counts the values of a measure between edges that its percentiles give."""

    def __init__(self, measure: str, figures: Mapping[str, Any]) -> None:
        row = figures["measures"][measure]
        self._measure, self._at = measure, {name: row[name] for name in map(percentile_name, BRIEF) if row[name]}
        low, middle, high = row["min"] or 0.0, row["p50"] or 0.0, row["p99.9"] or row["max"] or 0.0
        self._logarithmic = 0 < middle * _SKEWED < high
        if self._logarithmic:
            self._edges = np.geomspace(max(low, middle / _LEAST), high, _BINS + 1)
        else:
            self._edges = np.linspace(low, high if high > low else low * 1.01 + 1e-6, _BINS + 1)
        self._counts = np.zeros(_BINS + 2, np.int64)

    @property
    def total(self) -> int:
        return int(self._counts.sum())

    def add(self, values: Floats) -> None:
        """Count values, and sort them in place: edges are found among values faster than values among edges."""
        values.sort()
        self._counts += np.diff(np.searchsorted(values, self._edges), prepend=0, append=len(values))

    def distribution(self) -> Distribution:
        below, *counts, beyond = self._counts.tolist()
        return Distribution(
            self._measure, self._edges, np.array(counts, np.int64), below, beyond, self._at, self._logarithmic
        )


class _Tokens:
    """Counts output tokens in the part of time in which they arrived."""

    def __init__(self, start_s: float, width: float) -> None:
        self._start_ns, self._width_ns, self.width = round(start_s * 1e9), round(width * 1e9), width
        self._counts: Floats = np.zeros(1)

    def add(self, chunks: ChunkTable) -> None:
        part = np.maximum((chunks.at_ns - self._start_ns) // self._width_ns, 0)
        found = np.bincount(part, chunks.tokens, len(self._counts)).astype(np.float64)
        found[: len(self._counts)] += self._counts
        self._counts = found

    def per_second(self, parts: int) -> Floats:
        """Return how many came in each of so many parts, per second."""
        found = np.zeros(parts)
        found[: len(self._counts)] = self._counts[:parts]
        return found / self.width


def _over_time(found: _Requests, tokens: _Tokens, limited: Sequence[tuple[float, float]]) -> OverTime:
    width = tokens.width
    count = max(int(np.ceil(found.ended.max() / width)), 1)
    ended, sent = (np.minimum(at // width, count - 1).astype(np.int64) for at in (found.ended, found.sent))
    edges: Floats = np.arange(count + 1, dtype=np.float64) * width
    return OverTime(
        width,
        edges[:-1],
        np.bincount(ended[found.ok], minlength=count) / width,
        np.bincount(ended[found.failed], minlength=count) / width,
        tokens.per_second(count),
        np.diff(_waited(found.sent, edges) - _waited(found.ended, edges)) / width,
        _percentiles(found.first_token[found.ok], sent[found.ok], count),
        _percentiles(found.latency[found.ok], sent[found.ok], count),
        limited,
    )


def _waited(moments: Floats, until: Floats) -> Floats:
    """Return, for each of `until`, how long it was since each of the moments before it, all together."""
    ordered = np.sort(moments)
    before = np.searchsorted(ordered, until)
    found: Floats = until * before - np.concatenate(([0.0], np.cumsum(ordered)))[before]
    return found


def _percentiles(values: Floats, part: Ints, count: int) -> dict[str, Floats]:
    """Return the percentiles of the values of each part, NaN of none."""
    there = ~np.isnan(values)
    values, part = values[there], part[there]
    order = np.argsort(part, kind="stable")
    ends = np.searchsorted(part[order], np.arange(1, count))
    found = {percentile_name(q): np.full(count, np.nan) for q in _SHOWN}
    for each, inside in enumerate(np.split(values[order], ends)):
        inside.sort()
        for q in _SHOWN:
            if (value := percentile(inside, q)) is not None:
                found[percentile_name(q)][each] = value
    return found


def _timeline(path: Path, found: _Requests) -> Iterator[TimelineRow]:
    """Yield the requests in the order in which they were sent: all, or those about the slowest of many."""
    order = np.argsort(found.sent, kind="stable")
    slowest = int(np.flatnonzero(order == np.argmax(found.latency))[0])
    low = max(min(slowest - _TIMELINE // 2, len(order) - _TIMELINE), 0)
    shown = order[low : low + _TIMELINE]
    said = _said(path, found.row[shown], "request_index, outcome, error_type")
    for each in shown.tolist():
        index, outcome, error = said[int(found.row[each])]
        intended, sent, first = float(found.intended[each]), float(found.sent[each]), float(found.first_token[each])
        yield TimelineRow(
            index,
            None if np.isnan(intended) else intended,
            sent,
            None if np.isnan(first) else sent + first,
            float(found.ended[each]),
            outcome,
            error,
        )


def _slowest(path: Path, found: _Requests, by: Floats) -> Iterator[SlowRequest]:
    """Yield the requests that succeeded with the largest values, largest first."""
    able = np.flatnonzero(found.ok & ~np.isnan(by))
    if len(able) > _SLOWEST:
        able = able[by[able] >= np.partition(by[able], -_SLOWEST)[-_SLOWEST]]
    worst = able[np.argsort(-by[able], kind="stable")[:_SLOWEST]]
    said = _said(path, found.row[worst], "request_index, completion_tokens, trace_id")
    for each in worst.tolist():
        index, tokens, trace_id = said[int(found.row[each])]
        first = float(found.first_token[each])
        yield SlowRequest(
            index,
            float(found.sent[each]),
            None if np.isnan(first) else first,
            float(found.latency[each]),
            tokens,
            trace_id,
        )


def _said(path: Path, rows: Ints, columns: str) -> dict[int, Sequence[Any]]:
    """Return columns of a few rows of the run file, by their rowid."""
    where = f"rowid IN ({', '.join('?' * len(rows))})"
    found = chain.from_iterable(read_columns(path, f"rowid, {columns}", where, rows.tolist(), _PART))
    return {row: said for row, *said in found}
