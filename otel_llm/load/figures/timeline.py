"""A run over its time: what was asked, sent and answered, when it was steady, and what its end cut off."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from otel_llm.load.figures.censoring import product_limit
from otel_llm.load.figures.overload import filled_after, judge_overload
from otel_llm.load.figures.values import Values
from otel_llm.measures import Facts, Floats, percentile, time_to_first_token
from otel_llm.percentiles import BRIEF, percentile_name
from otel_llm.record import StreamRecord

__all__ = ["Timeline"]

_BRIEF: Final = tuple(map(percentile_name, BRIEF))
_SLICES: Final = 60
_WIDTHS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_FEWEST: Final = 100

_OK, _FAILED, _CUT, _LEFT = 0.0, 1.0, 2.0, 3.0
_OUTCOMES: Final = {"complete": _OK, "cancelled": _CUT, "closed_early": _LEFT}

Bools = NDArray[np.bool_]


class Timeline:
    """Collects when each request was asked, was sent and ended.

    A request is asked at its intended moment; in a closed loop, and for a later turn of a conversation, when it is due.
    """

    def __init__(self) -> None:
        self._asked, self._sent, self._ended = Values(), Values(), Values()
        self._first, self._outcome = Values(), Values()
        self._open_loop = False

    def add(self, facts: Sequence[Facts]) -> None:
        """Take requests that ended."""
        records = [fact.record for fact in facts]
        self._open_loop = self._open_loop or any(record.intended_ns is not None for record in records)
        self._asked.extend(_seconds([_asked_ns(record) for record in records]))
        self._sent.extend(_seconds([None if "unsent" in record.flags else record.sent_ns for record in records]))
        self._ended.extend(_seconds([record.ended_ns for record in records]))
        self._first.extend(np.array([time_to_first_token(record) for record in records], np.float64))
        self._outcome.extend(np.array([_outcome(record) for record in records], np.float64))

    def report(self) -> dict[str, Any]:
        """Return the members `load`, `steady`, `cut_off` and `slices` of a report. Times are seconds.

        Moments are counted from the first request asked.
        """
        if not len(self._asked):
            return {"load": None, "steady": None, "cut_off": None, "slices": None}
        rows = _Rows(*(values.all() for values in (self._asked, self._sent, self._ended, self._first, self._outcome)))
        return {
            "load": rows.load(open_loop=self._open_loop),
            "steady": rows.steady(),
            "cut_off": rows.cut_off(),
            "slices": rows.slices(),
        }


class _Rows:
    """A row for each request: moments in seconds from the first asked; NaN for what did not happen."""

    def __init__(self, asked: Floats, sent: Floats, ended: Floats, first: Floats, outcome: Floats) -> None:
        begin = np.nanmin(asked)
        self.asked, self.sent, self.ended = asked - begin, sent - begin, ended - begin
        self.first, self.ok, self.cut, self.left = first, outcome == _OK, outcome == _CUT, outcome == _LEFT
        self.was_sent = ~np.isnan(self.sent)

    def load(self, *, open_loop: bool) -> dict[str, Any]:
        """Return requests asked, sent and answered per second, each from the first to the last, and the lateness."""
        late = (self.sent - self.asked)[self.was_sent]
        verdict = None
        if open_loop:
            verdict = judge_overload(self.asked, self.sent, np.where(self.cut, np.nan, self.ended))
        judged = {"overloaded": verdict.overloaded, "by_client": verdict.by_client} if verdict is not None else {}
        return {
            "asked": _rate(self.asked) if open_loop else None,
            "offered": _rate(self.sent[self.was_sent]),
            "achieved": _rate(self.ended[self.ok]),
            "schedule_error": _brief(late) | {"max": float(late.max())} if open_loop and len(late) else None,
            "overload": None if verdict is None else asdict(verdict) | judged,
        }

    def steady(self) -> dict[str, Any] | None:
        """Return the figures without start and end; None where less than half of the time, or too little, is left."""
        sent = self.sent[self.was_sent]
        if len(sent) < _FEWEST:
            return None
        order = np.argsort(sent, kind="stable")
        fill = filled_after((np.where(self.cut, np.inf, self.ended)[self.was_sent] - sent)[order])
        since, until = float(sent[order[0]]) + fill, float(sent[order[-1]]) - fill
        if not until - since >= (sent[order[-1]] - sent[order[0]]) / 2 > 0:
            return None
        inside = (self.sent >= since) & (self.sent < until)
        ended = self.ended[self.ok]
        return {
            "since": since,
            "until": until,
            "requests": int(inside.sum()),
            "request_throughput": float(((ended >= since) & (ended < until)).sum()) / (until - since),
            "time_to_first_token": _brief(_defined(self.first[inside & self.ok])),
            "request_latency": _brief((self.ended - self.sent)[inside & self.ok]),
        }

    def cut_off(self) -> dict[str, Any] | None:
        """Return percentiles that take what was cut off for longer than until then; None if nothing was.

        The run's end cuts off what is under way, and users who leave cut off their own.
        """
        cut = (self.cut | self.left) & self.was_sent
        if not cut.any():
            return None
        end = float(np.nanmax(self.ended))  # a request that was cut off was under way when the last sign of life came
        until = np.where(self.left, self.ended, end) - self.sent
        going = until[cut]
        begun = ~np.isnan(self.first)
        return {
            "requests": int(cut.sum()),
            "longest": float(going.max()),
            "time_to_first_token": _limits(
                self.first[(self.ok | cut) & begun], until[cut & ~begun] if begun.any() else np.empty(0)
            ),
            "request_latency": _limits((self.ended - self.sent)[self.ok], going),
        }

    def slices(self) -> dict[str, Any]:
        """Return equal parts of the run. Latencies are of the requests that were asked in a part and succeeded."""
        end = float(np.nanmax(np.concatenate((self.asked, self.ended))))
        width = next((width for width in _WIDTHS if end / width <= _SLICES), -(-end // _SLICES))
        count = int(end // width) + 1
        edges = np.arange(count + 1) * float(width)
        asked, sent, ended = (np.histogram(_defined(each), edges)[0] for each in (self.asked, self.sent, self.ended))
        answered = np.histogram(self.ended[self.ok], edges)[0]
        left = np.histogram(self.ended[self.left], edges)[0]
        over = np.histogram(self.ended[self.was_sent], edges)[0]
        under_way = np.cumsum(sent) - np.cumsum(over)
        part = np.minimum(self.asked // width, count - 1)
        found = []
        for number in range(count):
            mine = self.ok & (part == number)
            found.append(
                {
                    "at": number * width,
                    "asked": int(asked[number]),
                    "sent": int(sent[number]),
                    "answered": int(answered[number]),
                    "failed": int(ended[number] - answered[number] - left[number]),
                    "under_way": int(under_way[number]),
                    "time_to_first_token": _brief(_defined(self.first[mine])),
                    "request_latency": _brief((self.ended - self.sent)[mine]),
                }
            )
        return {"seconds": width, "slices": found}


def _asked_ns(record: StreamRecord) -> int:
    asked = record.intended_ns if record.intended_ns is not None else record.due_ns
    return record.sent_ns if asked is None else asked


def _outcome(record: StreamRecord) -> float:
    return _OUTCOMES.get(record.outcome, _FAILED)


def _seconds(at_ns: Sequence[int | None]) -> Floats:
    return np.array(at_ns, np.float64) / 1e9


def _defined(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def _rate(moments: Floats) -> float | None:
    """Return how many a second, from the first to the last of them."""
    if len(moments) < 2 or (span := float(np.ptp(moments))) <= 0:
        return None
    return (len(moments) - 1) / span


def _brief(values: Floats) -> dict[str, Any]:
    ordered = np.sort(values)
    found = {name: percentile(ordered, q, len(ordered)) for q, name in zip(BRIEF, _BRIEF, strict=True)}
    return {"count": len(ordered), **found}


def _limits(seen: Floats, cut: Floats) -> dict[str, Any]:
    found = product_limit(seen, cut, BRIEF)
    return {"count": len(seen) + len(cut), **dict(zip(_BRIEF, found, strict=True))}
