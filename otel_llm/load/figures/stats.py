"""The statistics of a run: values are collected as requests end, and summarised at any time.

Every value comes from `measures`; this module only collects, orders and counts.
"""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from otel_llm.load.figures.dependence import SLIGHT, inflation, ranks_of
from otel_llm.load.figures.enough import FEWEST, values_needed
from otel_llm.load.figures.intervals import (
    NEITHER,
    Both,
    clustered_intervals,
    intervals,
    rate_interval,
)
from otel_llm.load.figures.timeline import Timeline
from otel_llm.load.figures.values import Values
from otel_llm.measures import MEASURES, Facts, Floats, percentile
from otel_llm.percentiles import REPORTED, percentile_name
from otel_llm.record import StreamRecord
from otel_llm.wire.server_words import sentence_of

__all__ = ["Stats", "describe"]

_NAMES: Final = {q: percentile_name(q) for q in REPORTED}
_SAMPLE: Final = 500
_CENSORED: Final = frozenset(("corrected_time_to_first_token", "corrected_request_latency"))


class Stats:
    """The counts and values of a run so far.

    planned: requests that were to be sent
    due:     those of the planned whose moment to be sent came before the run ended
    """

    def __init__(self, planned: int) -> None:
        self.planned = self.due = planned
        self.succeeded = self.failed = self.cancelled = self.unsent = 0
        self.errors: Counter[str] = Counter()
        self.skips: Counter[str] = Counter()
        """Turns of conversations that were not sent any more, by the reason; they neither succeeded nor failed."""
        self.error_samples: dict[str, str] = {}
        self.input_tokens = self.output_tokens = 0
        self.sources: Counter[str] = Counter()
        self.flags: Counter[str] = Counter()
        self.first_sent_ns: int | None = None
        self.last_ended_ns: int | None = None
        self.left = 0
        """Requests that were left, as was planned, before their answer had ended."""
        self.lost: Counter[str] = Counter()
        """Planned requests that were never sent and have no record, by the kind of failure that they count as."""
        self._left_of_planned = 0
        self._ended_s, self._tokens = Values(), Values()
        self._timeline = Timeline()
        self.values = {measure.name: Values() for measure in MEASURES}
        # how many gaps each request brought: the gaps of one request are not independent of each other
        self._gaps = {"inter_token_latency": array("q"), "inter_chunk_latency": array("q")}

    @property
    def ended(self) -> int:
        """Requests that ended, in whatever way."""
        return self.succeeded + self.failed + self.cancelled + self.left

    @property
    def skipped(self) -> int:
        """Turns of conversations that were not sent, for whatever reason."""
        return self.skips.total()

    @property
    def all_tokens(self) -> int:
        """Tokens of prompts and answers together."""
        return self.input_tokens + self.output_tokens

    @property
    def duration_s(self) -> float:
        """Seconds from the first byte sent to the end of the last answer; 0 before anything ended.

        A request that was cut off, or timed out, counts until the last byte that came for it: how long it was waited
        for is no work of the server's.
        """
        if self.first_sent_ns is None or self.last_ended_ns is None:
            return 0.0
        return (self.last_ended_ns - self.first_sent_ns) / 1e9

    def add(self, facts: Sequence[Facts]) -> None:
        """Count requests that ended and collect their values."""
        good = [fact for fact in facts if fact.record.ok]
        for fact in facts:
            self._count(fact.record)
        self._timeline.add(facts)
        self._ended_s.extend(np.array([fact.record.ended_ns for fact in good], np.float64) / 1e9)
        self._tokens.extend(np.array([fact.record.output_tokens or 0 for fact in good], np.float64))
        for measure in MEASURES:
            found = measure.values(good if measure.successes_only else facts)
            self.values[measure.name].extend(found)
        self._gaps["inter_token_latency"].extend(len(fact.inter_token_latencies) for fact in good)
        self._gaps["inter_chunk_latency"].extend(len(fact.inter_chunk_latencies) for fact in good)

    def lose(self, kind: str, count: int) -> None:
        """Count `count` planned requests that were never sent, as failures of that kind."""
        self.unsent += count
        self.lost[kind] += count
        self.failed += count
        self.errors[kind] += count

    def skip(self, reason: str, count: int) -> None:
        """Count `count` turns of a conversation that are not sent any more."""
        if count:
            self.skips[reason] += count

    def conclude(self, requests: Mapping[str, Any] | None) -> None:
        """Complete an account that was made from records alone, which requests that were never sent have none of.

        requests: of the report that was written at the run's end; None of a run that was broken off, of which only
                  what ended was due
        """
        if requests is None:
            self.planned, self.due = self.planned or self.ended, self.ended
            return
        self.skips = Counter(requests.get("skipped", {}))
        self.planned = requests["planned"]
        self.unsent = self.planned - self.skipped - requests["sent"]
        self.failed, self.errors = requests["failed"], Counter(requests["errors"])

    def summary(self) -> dict[str, Any]:
        """Return what a report says of requests, throughput, tokens, measures and the course of the run."""
        took = self.duration_s
        return {
            "requests": self.requests(),
            "error_samples": dict(sorted(self.error_samples.items())),
            "duration": took,
            "request_throughput": _per(self.succeeded, took),
            "output_token_throughput": _per(self.output_tokens, took),
            "total_token_throughput": _per(self.all_tokens, took),
            "throughput_ci95": self._throughput_intervals(),
            "tokens": {"input": self.input_tokens, "output": self.output_tokens, "source": self.source},
            "measures": self.measures(),
            "flags": dict(sorted(self.flags.items())),
            **self._timeline.report(),
        }

    def requests(self) -> dict[str, Any]:
        """Return the `requests` of a report."""
        return {
            "planned": self.planned,
            "sent": self.ended - self.unsent,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "cancelled": self.cancelled,
            "closed_early": self.left,
            "errors": dict(sorted(self.errors.items())),
            "skipped": dict(sorted(self.skips.items())),
        }

    def measures(self) -> dict[str, dict[str, Any]]:
        """Return the `measures` of a report."""
        return {name: self._describe(name) for name in self.values}

    def _throughput_intervals(self) -> dict[str, list[float | None]]:
        start, end = (self.first_sent_ns or 0) / 1e9, (self.last_ended_ns or 0) / 1e9
        at, tokens = self._ended_s.all(), self._tokens.all()
        return {
            "request_throughput": list(rate_interval(at, np.ones(len(at)), start, end)),
            "output_token_throughput": list(rate_interval(at, tokens, start, end)),
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
            last_ns = _last_sign_ns(record)
            if self.last_ended_ns is None or last_ns > self.last_ended_ns:
                self.last_ended_ns = last_ns
        self.unsent += unsent
        self.flags.update(flag for flag in record.flags if flag != "unsent")
        if record.ok:
            self.succeeded += 1
            self.input_tokens += record.input_tokens or 0
            self.output_tokens += record.output_tokens or 0
            if record.token_source is not None:
                self.sources[record.token_source] += 1
        elif record.outcome == "closed_early":
            self.left += 1
            self._left_of_planned += record.intended_ns is not None
        elif record.outcome == "cancelled":
            self.cancelled += 1
        else:
            self.failed += 1
            kind = record.error_type or "error"
            self.errors[kind] += 1
            if kind not in self.error_samples and (said := sentence_of(record.error_message or "")):
                self.error_samples[kind] = said[:_SAMPLE]

    @property
    def _unanswered(self) -> int:
        """How many requests that had an intended moment before the run ended were not answered, or not sent."""
        had, answered = len(self.values["queue_delay"]), len(self.values["corrected_request_latency"])
        without_record = max(self.due - (self.ended - self.lost.total()), 0)
        return had - answered - self._left_of_planned + without_record

    def _describe(self, name: str) -> dict[str, Any]:
        values = self.values[name].all()
        if name in _CENSORED and len(self.values["queue_delay"]):
            defined = len(values) or not self.succeeded  # whole answers have no first token, and miss none
            return describe(values, infinite=self._unanswered if defined else 0)
        return describe(values, clusters=self._gaps.get(name))


def _last_sign_ns(record: StreamRecord) -> int:
    """Return when a request ended; of one that was cut off or timed out, when the last of it came."""
    if record.outcome != "cancelled" and "timeout" not in (record.error_type or ""):
        return record.ended_ns
    return record.chunks.at_ns[-1] if record.chunks.at_ns else record.sent_ns


def describe(values: Floats, infinite: int = 0, clusters: Sequence[int] | None = None) -> dict[str, Any]:
    """Return count, mean, stddev (of a sample), min, max and percentiles by numpy's linear rule, None where undefined.

    `ci95` has the confidence interval of each percentile, `ci83` a narrower one, of which comparisons are made;
    `too_few_for` names the percentiles that have too few values; `independent` is how many independent values the
    values, in the order in which they arose, are worth.

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
        tau = inflation(ranks_of(values), SLIGHT) if clusters is None else 1.0
        if clusters is None:
            out["independent"] = round(count / tau)
        found = {name: _intervals(out[name], ordered, values, count, clusters, q, tau) for q, name in _NAMES.items()}
        out["ci95"] = {name: list(both.ci95) for name, (both, _) in found.items()}
        out["ci83"] = {name: list(both.ci83) for name, (both, _) in found.items()}
        out["too_few_for"] = [name for name, (_, enough) in found.items() if not enough]
    return out


def _intervals(
    at: float | None,
    ordered: Floats,
    values: Floats,
    count: int,
    clusters: Sequence[int] | None,
    q: float,
    tau: float,
) -> tuple[Both, bool]:
    """Return the intervals of the percentile whose value is `at`, and whether there are enough values for it."""
    if count < FEWEST or (at is None and clusters is not None):
        return NEITHER, False
    if clusters is not None and at is not None:
        found = clustered_intervals(ordered, values, clusters, q, at)
        return found, None not in found.ci95
    tau = 1.0 if at is None else _inflation_at(at, values, tau)
    found = intervals(ordered, count, q, tau)
    return found, None not in found.ci95 if tau > 1 else count >= values_needed(q)


def _inflation_at(at: float, values: Floats, of_ranks: float) -> float:
    """Return tau of which values lie at or below a percentile: their own, where enough independent ones lie beyond.

    Fewer do not show it: then it is no less than that of all ranks, though far values may be forgotten sooner.
    """
    below = values <= at
    own, beyond = inflation(below, SLIGHT), min(below.sum(), len(values) - below.sum())
    return own if beyond / own >= FEWEST else max(of_ranks, own)


def _per(amount: float, seconds: float) -> float | None:
    return amount / seconds if seconds > 0 else None
