"""How far the client's own lateness reaches into the numbers, and whether they can be trusted.

Every client attributes its own delays to the server. This one measures them: how long each read waited in the kernel,
how late the loop ran, how late each request left, and which reads merged packets that had arrived one by one, so that
the gaps between them are lost. It reports them for the run, and for each second of it.
"""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from otel_llm.load.figures.health import Health
from otel_llm.load.figures.values import Values
from otel_llm.measures import Bools, ChunkTable, Facts, Floats, Ints, bears_tokens, gaps_in, send_lag
from otel_llm.percentiles import BRIEF, percentile_name

__all__ = ["ClientError"]

_WINDOW_NS: Final = 1_000_000_000
_RECEIVE_LAG_S: Final = 0.005
_USER_LAG_S: Final = 0.001
_LOOP_LAG_S: Final = 0.020
_SEND_LAG_S: Final = 0.010
_MERGED_SHARE: Final = 0.01
_STALE_NS: Final = 5_000_000
_TOGETHER_NS: Final = 500_000
"""Packets that are closer to each other were written together by the server, as far as anyone could tell."""

_BRIEF: Final = tuple(map(percentile_name, BRIEF))

_Span = Mapping[str, float]


class ClientError:
    """Collects the client's own error over a run."""

    def __init__(self) -> None:
        self._receive = Values()
        self._send = array("d")
        self._doubtful = array("d")
        """The inter-token latencies that merged reads produced."""
        self._late: dict[int, list[int]] = {}
        """Per second: the number of reads, and how many of them were merged or taken late."""
        self.reads = self.chunks = self.merged = 0

    def add(self, facts: Sequence[Facts]) -> None:
        """Take requests that ended."""
        records = [each.record for each in facts]
        self._send.extend(
            max(late, 0.0) for r in records if "unsent" not in r.flags and (late := send_lag(r)) is not None
        )
        self.add_reads(ChunkTable.of([each.chunks for each in records]), np.array([r.ok and r.stream for r in records]))

    def add_reads(self, table: ChunkTable, streamed: Bools) -> None:
        """Take the reads of requests that ended: enough for `limited_seconds`, and nothing else.

        streamed: which of the answers were streamed, and came whole
        """
        if not len(table.read):
            return
        opens = _opens(table)
        self.reads += int(opens.sum())
        self.chunks += len(opens)
        if len(table.lag_ns) == len(opens):
            self._reads(table, opens, streamed)

    def _reads(self, table: ChunkTable, opens: Bools, streamed: Bools) -> None:
        starts = np.flatnonzero(opens)
        lag_ns, seconds = table.lag_ns[starts], table.at_ns[starts] // _WINDOW_NS
        self._receive.extend(lag_ns / 1e9)
        merged = _merged(table, opens)
        bad = merged | (lag_ns > _RECEIVE_LAG_S * 1e9)
        runs = np.flatnonzero(_changes(seconds))
        counts = np.diff(runs, append=len(seconds)), np.add.reduceat(bad, runs, dtype=np.int64)
        for second, reads, late in zip(*(each.tolist() for each in (seconds[runs], *counts)), strict=True):
            so_far = self._late.setdefault(second, [0, 0])
            so_far[0] += reads
            so_far[1] += late
        if merged.any():
            self._doubt(table, starts[merged], streamed)

    def _doubt(self, table: ChunkTable, merged: Ints, streamed: Bools) -> None:
        """Note the inter-token latencies of merged reads, each given by its first chunk."""
        self.merged += len(merged)
        having = np.zeros(len(streamed), np.bool_)
        having[table.owner[merged]] = True
        gap_s, tokens, read, owner = gaps_in(table, streamed & having)
        of_merged, of_gaps = _keys(table.owner[merged], table.read[merged]), _keys(owner, read)  # both ascend
        doubtful = of_merged[np.minimum(np.searchsorted(of_merged, of_gaps), len(of_merged) - 1)] == of_gaps
        gaps, tokens = gap_s[doubtful], tokens[doubtful]
        self._doubtful.frombytes(np.repeat(gaps / np.maximum(tokens, 1), tokens).tobytes())

    def report(self, health: Health, start_ns: int | None = None, itl: Values | None = None) -> dict[str, Any]:
        """Return the `client` member of a report; times in seconds, windows of one second from `start_ns`.

        itl: every inter-token latency of the run, to give its percentiles without those of merged reads
        """
        kernel = any("kernel" in clock for clock in health.clocks)
        loop = _describe(np.array(health.loop_lag_ns, np.float64) / 1e9)
        receive = _describe(self._receive.all()) if kernel else None
        send = _describe(np.array(self._send))
        share = self.merged / self.reads if self.reads else 0.0
        reasons = _reasons(receive, loop, send, share) + health.died
        doubtful = np.frombuffer(self._doubtful)
        apart = _describe(_without(itl.all(), doubtful)) if itl is not None and len(doubtful) else None
        return {
            "saturated": bool(reasons),
            "reasons": reasons,
            "windows": self._windows(start_ns),
            "clock": ", ".join(sorted(health.clocks)) or None,
            "clock_steps": health.clock_steps,
            "receive_lag": receive,
            "loop_lag": loop,
            "send_lag": send,
            "loop_lag_p99": loop and loop["p99"],
            "merged_reads": self.merged,
            "merged_read_share": share,
            "inter_token_latency_without_merged": apart,
            "reads": self.reads,
            "chunks": self.chunks,
            "cpu_seconds": health.cpu_s,
            "waited_for_cpu_seconds": health.waited_s,
            "workers": health.workers,
        }

    @property
    def limited_seconds(self) -> list[int]:
        """The seconds of the clock, ascending, in which more than one read in a hundred was late or merged."""
        return sorted(second for second, (reads, bad) in self._late.items() if bad > max(reads * _MERGED_SHARE, 1))

    def _windows(self, start_ns: int | None) -> dict[str, Any]:
        """Return in how many seconds more than one read in a hundred was late or merged, and which was the first."""
        limited = self.limited_seconds
        since = None if start_ns is None or not limited else max(limited[0] * _WINDOW_NS - start_ns, 0) / 1e9
        return {"total": len(self._late), "limited": len(limited), "first_limited_at": since}


def _changes(values: Ints) -> Bools:
    """Return which values differ from the one before them; the first one does."""
    return np.concatenate(([True], values[1:] != values[:-1]))


def _opens(table: ChunkTable) -> Bools:
    """Return which chunks are the first of their read."""
    return _changes(table.read) | _changes(table.owner)


def _keys(owner: Ints, read: Ints) -> Ints:
    """Return the read of each chunk, as a number that is unique among these answers."""
    return (owner << 32) | read


def _merged(table: ChunkTable, opens: Bools) -> Bools:
    """Return which of the reads may have merged tokens which had arrived one by one.

    Several chunks in a read are normal where the server wrote them together. They were merged in the socket when the
    read had waited longer than the mean gap of its stream. Chunks without tokens do not matter: no figure is made of
    the gap between the last token and the end.
    """
    found = np.zeros(int(opens.sum()), np.bool_)
    if not (~opens & (table.lag_ns > _TOGETHER_NS)).any():  # as nearly always, where each read has a chunk
        return found
    bearing = np.flatnonzero(bears_tokens(table))
    number, owner = np.cumsum(opens)[bearing] - 1, table.owner[bearing]
    if not len(bearing):
        return found
    starts = np.flatnonzero(_changes(owner))
    ends = np.append(starts[1:], len(owner)) - 1
    mean = (table.at_ns[bearing[ends]] - table.at_ns[bearing[starts]]) / np.maximum(ends - starts, 1)
    usual = np.zeros(owner[-1] + 1)
    usual[owner[starts]] = np.clip(mean, _TOGETHER_NS, _STALE_NS)
    again = np.flatnonzero(~_changes(number))  # they came with the one before
    found[number[again[table.lag_ns[bearing[again]] > usual[owner[again]]]]] = True
    return found


def _without(ordered: Floats, some: Floats) -> Floats:
    """Return the values in ascending order without those in `some` (as a multiset). Sorts `ordered` in place."""
    ordered.sort()
    which, counts = np.unique(some, return_counts=True)
    first = np.searchsorted(ordered, which)
    drop = np.concatenate([np.arange(start, start + count) for start, count in zip(first, counts, strict=True)])
    return np.delete(ordered, drop[drop < len(ordered)])


def _describe(values: Floats) -> dict[str, float] | None:
    """Return percentiles. Reorders `values` in place, since there may be millions."""
    if not len(values):
        return None
    found = np.percentile(values, BRIEF, overwrite_input=True).tolist()
    return {**dict(zip(_BRIEF, found, strict=True)), "max": float(values.max())}


def _reasons(receive: _Span | None, loop: _Span | None, send: _Span | None, merged: float) -> list[str]:
    """Return why the client was the limit, one line each.

    With kernel stamps a read that is taken late still has the right stamp, so its bound is about merging packets. With
    our own stamps lateness is an error of the stamp, and only the loop's lateness shows it.
    """
    bounds = (
        (receive, _RECEIVE_LAG_S, "reads were taken"),
        (loop, _LOOP_LAG_S if receive is not None else _USER_LAG_S * 5, "loop turns came"),
        (send, _SEND_LAG_S, "requests left"),
    )
    found = [
        f"1 % of {what} more than {span['p99'] * 1e3:.1f} ms late" for span, bound, what in bounds
        if span is not None and span["p99"] > bound
    ]  # fmt: skip
    if merged > _MERGED_SHARE:
        found.append(f"{merged:.1%} of reads brought packets together that had come apart")
    return found
