"""How far the client's own lateness reaches into the numbers, and whether they may be believed.

Every client reads its own delays as the server's. This one measures them: how long each read waited in the kernel
before it was taken, how late the loop ran, how late a request left, and which reads brought packets together that had
come apart, whose gaps nobody can know any more. It says so for the run, and for each second of it.
"""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from otel_llm.load.engine import Health
from otel_llm.measures import Floats, Ints, send_lag, token_gaps
from otel_llm.record import StreamRecord

__all__ = ["ClientError"]

_WINDOW_NS: Final = 1_000_000_000
_RECEIVE_LAG_S: Final = 0.010
_USER_LAG_S: Final = 0.001
_LOOP_LAG_S: Final = 0.020
_SEND_LAG_S: Final = 0.010
_MERGED_SHARE: Final = 0.01
_STALE_NS: Final = 5_000_000

_Span = Mapping[str, float]


class ClientError:
    """The account of the client's own error over a run."""

    def __init__(self) -> None:
        self._receive = array("d")
        self._send = array("d")
        self._apart = array("d")
        self._late: dict[int, list[int]] = {}
        """Per second: reads, and those of them that were merged or taken late."""
        self.reads = self.chunks = self.merged = 0

    def add(self, records: Sequence[StreamRecord]) -> None:
        """Take requests that ended."""
        for record in records:
            if "unsent" not in record.flags and (late := send_lag(record)) is not None:
                self._send.append(max(late, 0.0))
            read = np.frombuffer(record.chunks.read, np.uint32)
            opens = np.concatenate((read[:1] > 0, read[1:] != read[:-1]))
            self.reads += int(opens.sum())
            self.chunks += len(read)
            merged = self._reads(record, read, opens) if len(record.chunks.lag_ns) else read[:0]
            latency, tokens, numbers = token_gaps(record)
            apart = ~np.isin(numbers, merged)
            self._apart.frombytes(np.repeat(latency[apart], tokens[apart]).tobytes() if record.ok else b"")

    def _reads(self, record: StreamRecord, read: Ints, opens: Ints) -> Ints:
        """Take the reads of a record; return the numbers of those that merged packets."""
        lag = np.frombuffer(record.chunks.lag_ns, np.int64)
        self._receive.frombytes((lag[opens] / 1e9).tobytes())
        merged = np.unique(read[~opens & (lag > _usual_gap(record))])
        self.merged += len(merged)
        bad = opens & ((lag > _RECEIVE_LAG_S * 1e9) | np.isin(read, merged))
        seconds = np.frombuffer(record.chunks.at_ns, np.int64) // _WINDOW_NS
        for second in np.unique(seconds[opens]).tolist():
            window = self._late.setdefault(second, [0, 0])
            window[0] += int((seconds[opens] == second).sum())
            window[1] += int((seconds[bad] == second).sum())
        return merged

    def report(self, health: Health, start_ns: int | None = None) -> dict[str, Any]:
        """Return the `client` member of a report; times in seconds, windows of one second from `start_ns`."""
        kernel = any("kernel" in clock for clock in health.clocks)
        loop = _describe(np.array(health.loop_lag_ns, np.float64) / 1e9)
        receive = _describe(np.frombuffer(self._receive)) if kernel else None
        send = _describe(np.frombuffer(self._send))
        share = self.merged / self.reads if self.reads else 0.0
        reasons = _reasons(receive, loop, send, share) + health.died
        apart = _describe(np.frombuffer(self._apart)) if self.merged else None
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

    def _windows(self, start_ns: int | None) -> dict[str, Any]:
        """Say in how many seconds of the run more than one read in a hundred was late or merged, and since when."""
        limited = sorted(second for second, (reads, bad) in self._late.items() if bad > max(reads * _MERGED_SHARE, 1))
        since = None if start_ns is None or not limited else max(limited[0] * _WINDOW_NS - start_ns, 0) / 1e9
        return {"total": len(self._late), "limited": len(limited), "first_limited_at": since}


def _usual_gap(record: StreamRecord) -> float:
    """Return the gap, ns, beyond which a read that waited may have merged what came apart.

    Several chunks in a read are normal where the server wrote them together; they were merged in the socket when the
    read had waited longer than the stream's usual gap.
    """
    gaps = np.diff(np.frombuffer(record.chunks.at_ns, np.int64))
    gaps = gaps[gaps > 0]
    return min(float(np.median(gaps)), _STALE_NS) if len(gaps) else _STALE_NS


def _describe(values: Floats) -> dict[str, float] | None:
    if not len(values):
        return None
    p50, p90, p99 = np.percentile(values, (50, 90, 99)).tolist()
    return {"p50": p50, "p90": p90, "p99": p99, "max": float(values.max())}


def _reasons(receive: _Span | None, loop: _Span | None, send: _Span | None, merged: float) -> list[str]:
    """Return why the client was the limit, one line each.

    With kernel stamps a read that is taken late is still stamped right, so the bound there is how near the client came
    to merging packets. With our own stamps lateness is error: the loop's is all that shows of it.
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
