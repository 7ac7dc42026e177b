"""The statistics of a run: values are collected as requests end, and summarised at any time.

Every value comes from `measures`; this module only collects, orders and counts.
"""

import math
import os
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from io import SEEK_END, BytesIO
from tempfile import TemporaryFile
from typing import IO, Any, Final

import numpy as np

from otel_llm.load.figures.intervals import Interval, clustered_interval, enclosing_ranks, independent_interval
from otel_llm.measures import MEASURES, Facts, Floats, percentile
from otel_llm.percentiles import REPORTED, percentile_name
from otel_llm.record import StreamRecord
from otel_llm.wire.server_words import sentence_of

__all__ = ["Stats", "Values", "describe"]

_NAMES: Final = {q: percentile_name(q) for q in REPORTED}
_IN_MEMORY: Final = 1 << 18
_SAMPLE: Final = 500
_CENSORED: Final = frozenset(("corrected_time_to_first_token", "corrected_request_latency"))


class Values:
    """float64 values in the order in which they were added. Beyond 256 KiB they lie in a file that has no name."""

    def __init__(self, in_memory: int = _IN_MEMORY) -> None:
        self._file: IO[bytes] = BytesIO()
        self._in_memory: float = in_memory
        self._count, self._sum = 0, 0.0

    def __len__(self) -> int:
        return self._count

    def extend(self, values: Floats) -> None:
        """Append values, float64[n]."""
        if not len(values):
            return
        data, before = np.ascontiguousarray(values, np.float64).tobytes(), self._count * 8
        try:
            if before + len(data) > self._in_memory and isinstance(self._file, BytesIO):
                self._file = _moved(self._file)
            _write_at_end(self._file, data)
        except OSError:  # no room in the folder for temporary files: memory has to do
            if not isinstance(self._file, BytesIO):
                self._file = BytesIO(os.pread(self._file.fileno(), before, 0))
            self._in_memory = math.inf
            _write_at_end(self._file, data)
        self._count, self._sum = self._count + len(values), self._sum + float(values.sum())

    @property
    def mean(self) -> float | None:
        """The mean of all values, None when there are none."""
        return self._sum / self._count if self._count else None

    def recent(self, count: int) -> Floats:
        """Return the latest values, at most `count`."""
        self._file.seek(max(self._count - count, 0) * 8)
        return np.frombuffer(self._file.read())

    def all(self) -> Floats:
        """Return every value, in memory, in an array that may be changed."""
        found = np.empty(self._count)
        self._file.seek(0)
        if self._count:
            found.data.cast("B")[:] = self._file.read()
        return found


def _moved(memory: BytesIO) -> IO[bytes]:
    """Return a file with the same bytes that is gone when it is closed. Raises OSError where there is no room."""
    file = TemporaryFile(prefix="otel-llm-", buffering=0)  # noqa: SIM115  # as long as the values
    _write_at_end(file, memory.getvalue())
    return file


def _write_at_end(file: IO[bytes], data: bytes) -> None:
    file.seek(0, SEEK_END)
    while data:
        data = data[file.write(data) :]


class Stats:
    """The counts and values of a run so far.

    planned: requests that were to be sent
    due:     those of the planned whose moment to be sent came before the run ended
    """

    def __init__(self, planned: int) -> None:
        self.planned = self.due = planned
        self.succeeded = self.failed = self.cancelled = self.unsent = 0
        self.errors: Counter[str] = Counter()
        self.error_samples: dict[str, str] = {}
        self.input_tokens = self.output_tokens = 0
        self.sources: Counter[str] = Counter()
        self.flags: Counter[str] = Counter()
        self.first_sent_ns: int | None = None
        self.last_ended_ns: int | None = None
        self.values = {measure.name: Values() for measure in MEASURES}
        # how many gaps each request brought: the gaps of one request are not independent of each other
        self._gaps = {"inter_token_latency": array("q"), "inter_chunk_latency": array("q")}

    @property
    def ended(self) -> int:
        """Requests that ended, in whatever way."""
        return self.succeeded + self.failed + self.cancelled

    @property
    def all_tokens(self) -> int:
        """Tokens of prompts and answers together."""
        return self.input_tokens + self.output_tokens

    @property
    def duration_s(self) -> float:
        """Seconds from the first byte sent to the end of the last answer; 0 before anything ended."""
        if self.first_sent_ns is None or self.last_ended_ns is None:
            return 0.0
        return (self.last_ended_ns - self.first_sent_ns) / 1e9

    def add(self, facts: Sequence[Facts]) -> None:
        """Count requests that ended and collect their values."""
        good = [fact for fact in facts if fact.record.ok]
        for fact in facts:
            self._count(fact.record)
        for measure in MEASURES:
            found = measure.values(good if measure.successes_only else facts)
            self.values[measure.name].extend(found)
        self._gaps["inter_token_latency"].extend(len(fact.inter_token_latencies) for fact in good)
        self._gaps["inter_chunk_latency"].extend(len(fact.inter_chunk_latencies) for fact in good)

    def lose(self, kind: str, count: int) -> None:
        """Count `count` planned requests that were never sent, as failures of that kind."""
        self.unsent += count
        self.failed += count
        self.errors[kind] += count

    def conclude(self, requests: Mapping[str, Any] | None) -> None:
        """Complete an account that was made from records alone, which requests that were never sent have none of.

        requests: of the report that was written at the run's end; None of a run that was broken off, of which only
                  what ended was due
        """
        if requests is None:
            self.planned, self.due = self.planned or self.ended, self.ended
            return
        self.planned, self.unsent = requests["planned"], requests["planned"] - requests["sent"]
        self.failed, self.errors = requests["failed"], Counter(requests["errors"])

    def summary(self) -> dict[str, Any]:
        """Return the `requests`, `error_samples`, `duration`, throughput, `tokens` and `measures` of a report."""
        took = self.duration_s
        return {
            "requests": {
                "planned": self.planned,
                "sent": self.ended - self.unsent,
                "succeeded": self.succeeded,
                "failed": self.failed,
                "cancelled": self.cancelled,
                "errors": dict(sorted(self.errors.items())),
            },
            "error_samples": dict(sorted(self.error_samples.items())),
            "duration": took,
            "request_throughput": _per(self.succeeded, took),
            "output_token_throughput": _per(self.output_tokens, took),
            "total_token_throughput": _per(self.all_tokens, took),
            "tokens": {"input": self.input_tokens, "output": self.output_tokens, "source": self.source},
            "measures": {name: self._describe(name) for name in self.values},
            "flags": dict(sorted(self.flags.items())),
        }

    @property
    def source(self) -> str | None:
        """Where the counts of output tokens come from: one source, or `mixed`; None when there are no tokens."""
        return next(iter(self.sources)) if len(self.sources) == 1 else "mixed" if self.sources else None

    def _count(self, record: StreamRecord) -> None:
        unsent = "unsent" in record.flags
        if not unsent:
            if self.first_sent_ns is None or record.sent_ns < self.first_sent_ns:
                self.first_sent_ns = record.sent_ns
            if self.last_ended_ns is None or record.ended_ns > self.last_ended_ns:
                self.last_ended_ns = record.ended_ns
        self.unsent += unsent
        self.flags.update(flag for flag in record.flags if flag != "unsent")
        if record.ok:
            self.succeeded += 1
            self.input_tokens += record.input_tokens or 0
            self.output_tokens += record.output_tokens or 0
            if record.token_source is not None:
                self.sources[record.token_source] += 1
        elif record.outcome == "cancelled":
            self.cancelled += 1
        else:
            self.failed += 1
            kind = record.error_type or "error"
            self.errors[kind] += 1
            if kind not in self.error_samples and (said := sentence_of(record.error_message or "")):
                self.error_samples[kind] = said[:_SAMPLE]

    def _describe(self, name: str) -> dict[str, Any]:
        values = self.values[name].all()
        if name in _CENSORED and len(self.values["queue_delay"]):
            return describe(values, infinite=max(self.due - len(values), 0))
        return describe(values, clusters=self._gaps.get(name))


def describe(values: Floats, infinite: int = 0, clusters: Sequence[int] | None = None) -> dict[str, Any]:
    """Return count, mean, stddev (of a sample), min, max and percentiles by numpy's linear rule, None where undefined.

    `ci95` has the confidence interval of each percentile; `too_few_for` names the percentiles that have too few values.

    infinite: how many more values there are, above all others: requests that an open loop planned and nobody answered.
              The mean, the maximum and each percentile that falls among them are None
    clusters: how many values, in their order, came with each request; None where each request brought one
    """
    count = len(values) + infinite
    out: dict[str, Any] = {"count": count}
    finite = bool(len(values)) and not infinite
    out["mean"] = float(values.mean()) if finite else None
    out["stddev"] = float(values.std(ddof=1)) if finite and count > 1 else None
    out["min"] = float(values.min()) if len(values) else None
    out["max"] = float(values.max()) if finite else None
    ordered = np.sort(values)
    for q, name in _NAMES.items():
        out[name] = percentile(ordered, q, count)
    if infinite:
        out["infinite"] = infinite
    if count:
        found = {name: _interval(out[name], ordered, values, count, clusters, q) for q, name in _NAMES.items()}
        out["ci95"] = {name: list(interval) for name, (interval, _) in found.items()}
        out["too_few_for"] = [name for name, (_, enough) in found.items() if not enough]
    return out


def _interval(
    at: float | None, ordered: Floats, values: Floats, count: int, clusters: Sequence[int] | None, q: float
) -> tuple[Interval, bool]:
    """Return the interval of the percentile whose value is `at`, and whether there are enough values for it."""
    if clusters is None:
        return independent_interval(ordered, count, q), None not in enclosing_ranks(count, q)
    if at is None:
        return (None, None), False
    interval = clustered_interval(ordered, values, clusters, q, at)
    return interval, None not in interval


def _per(amount: float, seconds: float) -> float | None:
    return amount / seconds if seconds > 0 else None
