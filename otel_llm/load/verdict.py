"""How far the client's own lateness reaches into the numbers, and whether they may be believed.

Every client reads its own delays as the server's. This one measures them: how long each read waited in the kernel
before it was taken, how late the loop ran, how late a request left, and how many reads brought packets together whose
gaps nobody can know any more.
"""

from array import array
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from otel_llm.load.engine import Health
from otel_llm.measures import Floats, Ints, send_lag
from otel_llm.record import StreamRecord

__all__ = ["ClientError"]

_RECEIVE_LAG_S: Final = 0.001
_LOOP_LAG_S: Final = 0.02
_SEND_LAG_S: Final = 0.01
_MERGED_SHARE: Final = 0.01
_STALE_S: Final = 0.005


class ClientError:
    """The account of the client's own error over a run."""

    def __init__(self) -> None:
        self._receive = array("d")
        self._send = array("d")
        self.reads = self.chunks = self.merged = 0

    def add(self, records: Sequence[StreamRecord]) -> None:
        """Take requests that ended."""
        for record in records:
            read = np.frombuffer(record.chunks.read, np.uint32)
            first = np.concatenate((read[:1] > 0, read[1:] != read[:-1]))
            lag = np.frombuffer(record.chunks.lag_ns, np.int64)
            if len(lag):
                self._receive.frombytes((lag[first] / 1e9).tobytes())
                self.merged += _merged(record, ~first, lag)
            self.reads += int(first.sum())
            self.chunks += len(record.chunks)
            if "unsent" not in record.flags and (late := send_lag(record)) is not None:
                self._send.append(max(late, 0.0))

    def report(self, health: Health) -> dict[str, Any]:
        """Return the `client` member of a report; times in seconds."""
        kernel = any("kernel" in clock for clock in health.clocks)
        loop = _describe(np.array(health.loop_lag_ns, np.float64) / 1e9)
        receive = _describe(np.frombuffer(self._receive)) if kernel else None
        send = _describe(np.frombuffer(self._send))
        share = self.merged / self.reads if self.reads else 0.0
        reasons = list(_reasons(receive, loop, send, share)) + health.died
        return {
            "saturated": bool(reasons),
            "reasons": reasons,
            "clock": ", ".join(sorted(health.clocks)) or None,
            "clock_steps": health.clock_steps,
            "receive_lag": receive,
            "loop_lag": loop,
            "send_lag": send,
            "loop_lag_p99": loop and loop["p99"],
            "merged_reads": self.merged,
            "merged_read_share": share,
            "reads": self.reads,
            "chunks": self.chunks,
            "cpu_seconds": health.cpu_s,
            "workers": health.workers,
        }


def _merged(record: StreamRecord, shares: Ints, lag: Ints) -> int:
    """Return how many reads brought several chunks after they had waited so long that their gaps are lost.

    Several chunks in a read are normal where the server wrote them together; they were merged in the socket when the
    read had waited longer than the stream's usual gap. `shares` says which chunks share the read of the one before.
    """
    if not shares.any():
        return 0
    gaps = np.diff(np.frombuffer(record.chunks.at_ns, np.int64))
    gaps = gaps[gaps > 0]
    usual = min(float(np.median(gaps)), _STALE_S * 1e9) if len(gaps) else _STALE_S * 1e9
    read = np.frombuffer(record.chunks.read, np.uint32)
    return len(np.unique(read[shares & (lag > usual)]))


def _describe(values: Floats) -> dict[str, float] | None:
    if not len(values):
        return None
    p50, p99 = np.percentile(values, (50, 99))
    return {"p50": float(p50), "p99": float(p99), "max": float(values.max())}


def _reasons(
    receive: dict[str, float] | None, loop: dict[str, float] | None, send: dict[str, float] | None, merged: float
) -> "list[str]":
    found = []
    # with kernel stamps a late read is still stamped right; it says how near the client is to losing packets' gaps
    if receive and receive["p99"] > 10 * _RECEIVE_LAG_S:
        found.append(f"1 % of reads were taken more than {receive['p99'] * 1e3:.1f} ms late")
    if loop and loop["p99"] > _LOOP_LAG_S:
        found.append(f"1 % of loop turns came more than {loop['p99'] * 1e3:.1f} ms late")
    if send and send["p99"] > _SEND_LAG_S:
        found.append(f"1 % of requests left more than {send['p99'] * 1e3:.1f} ms late")
    if merged > _MERGED_SHARE:
        found.append(f"{merged:.1%} of reads brought packets together that had come apart")
    return found
