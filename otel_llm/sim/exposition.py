"""`/metrics` of the simulated server, as an engine of its choice has it: names, types and edges of that engine's table.

What is counted is what was sent. A metric whose matter is not simulated (speculation, adapters, transfers of caches) is
not on the page. `engine_habits` says which requests an engine counts, and with which labels.
"""

from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from otel_llm.sim.engine_habits import HABITS, Counting, outcome_of
from otel_llm.sim.truth import SentRow
from otel_llm_collector.engine_tables.table import Metric, find_engine_table

__all__ = ["Exposition", "Load"]

_LENGTHS: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)
"""Edges of prompts and answers, in tokens, which follow the model."""


class Load(NamedTuple):
    """Requests at this moment, and the share of the key-value cache in use."""

    running: int
    waiting: int
    cache: float


class _Histogram:
    def __init__(self, metric: Metric, labels: str, edges: Sequence[float]) -> None:
        self._name, self._labels, self._scale = metric.name, labels, metric.scale
        self._edges, self._counts = edges, array("q", bytes(8 * (len(edges) + 1)))
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._edges, value)] += 1
        self._sum += value

    def lines(self) -> Iterator[str]:
        name, total = self._name, 0
        before = f"{self._labels}," if self._labels else ""
        yield f"# TYPE {name} histogram"
        for edge, count in zip((*self._edges, float("inf")), self._counts, strict=True):
            total += count
            le = "+Inf" if edge == float("inf") else edge / self._scale
            yield f'{name}_bucket{{{before}le="{le}"}} {total}'
        yield _sample(f"{name}_count", self._labels, total)
        yield _sample(f"{name}_sum", self._labels, self._sum / self._scale)


class _Sum:
    def __init__(self, metric: Metric, labels: str) -> None:
        self._metric, self._labels, self._sum = metric, labels, 0.0

    def add(self, value: float) -> None:
        self._sum += value

    def lines(self) -> Iterator[str]:
        yield f"# TYPE {self._metric.name} counter"
        yield _sample(self._metric.name, self._labels, self._sum / self._metric.scale)


class _Requests:
    """A counter of requests, whose series are told apart by how they ended."""

    def __init__(self, metric: Metric, labels: str, counting: Counting, begins: Sequence[str]) -> None:
        self._metric, self._labels, self._counting = metric, labels, counting
        self._counts = Counter(dict.fromkeys(begins, 0))

    def add(self, row: SentRow) -> None:
        if (series := self._counting(row)) is not None:
            self._counts[series] += 1

    def lines(self) -> Iterator[str]:
        if self._counts or not self._metric.optional:
            yield f"# TYPE {self._metric.name} counter"
        for series, count in self._counts.items():
            yield _sample(self._metric.name, ",".join(filter(None, (self._labels, series))), count)


def _sample(name: str, labels: str, value: float) -> str:
    return f"{name}{{{labels}}} {float(value)}" if labels else f"{name} {float(value)}"


class Exposition:
    """Counts requests as they end; `page` says what was counted."""

    content_type: Final = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, engine: str, model: str) -> None:
        self._habits, self._model = HABITS[engine], model
        self._metrics = [
            metric
            for metric in find_engine_table(engine).metrics
            if metric.to in _SIMULATED and metric.name not in self._habits.lacks
        ]
        self._requests: dict[str, _Requests] = {}
        self._measured: dict[str, _Histogram | _Sum] = {}
        self._adding: defaultdict[str, list[_Histogram | _Sum]] = defaultdict(list)
        self._prompts = self._cached = 0
        for metric in self._metrics:
            labels, name = self._labels(metric), metric.name
            if metric.to in _REQUESTS:
                begins = self._habits.begins.get(name, ())
                self._requests[name] = _Requests(metric, labels, self._habits.requests[name], begins)
            elif metric.to not in _NOW:
                edges = find_engine_table(engine).edges(metric) or _LENGTHS
                kept = _Histogram(metric, labels, edges) if metric.type == "histogram" else _Sum(metric, labels)
                self._measured[name] = kept
                self._adding[metric.to].append(kept)

    def _labels(self, metric: Metric) -> str:
        return self._habits.own.get(metric.name, self._habits.labels).replace("{model}", self._model)

    def add(self, row: SentRow) -> None:
        """Count a request that ended."""
        for counter in self._requests.values():
            counter.add(row)
        if row.status != 200 or not row.start:
            return
        self._prompts += row.prompt_tokens
        self._cached += row.cached_tokens
        for instrument, value in self._values(row):
            for kept in self._adding.get(instrument, ()):
                kept.add(value)

    def _values(self, row: SentRow) -> Iterator[tuple[str, float]]:
        """Yield what a request that ran adds to which instrument, in seconds and tokens."""
        cached_apart = row.cached_tokens if self._habits.cached_apart else 0
        yield "server_prompt_tokens", row.prompt_tokens - cached_apart
        yield "server_generation_tokens", row.tokens
        yield "server_prefix_cache_queries", row.prompt_tokens
        yield "server_prefix_cache_hits", row.cached_tokens
        yield "server_prompt_cached_tokens", row.cached_tokens
        yield "server_preemptions", row.fault == "stall"  # an answer that is taken back stands still
        if row.tokens:
            first, last = row.token_stamps()
            yield "server_time_to_first_token", (first - row.recv) / 1e9
            yield "server_prompt_time", (first - row.start) / 1e9
            yield "server_generation_time", (last - first) / 1e9
            for before, at in pairwise(row.token_moments()):
                yield "server_inter_token_latency", (at - before) / 1e9
        if self._habits.counts_left or outcome_of(row) != "left":
            yield from _of_ended(row)

    def page(self, load: Load) -> bytes:
        """Return the page: what was counted, and what is so at this moment."""
        now = {
            "server_requests_running": load.running,
            "server_requests_waiting": load.waiting,
            "server_requests_in_flight": load.running + load.waiting,
            "server_kv_cache_utilization": load.cache,
            "server_prefix_cache_hit_ratio": self._cached / self._prompts if self._prompts else 0.0,
        }
        lines: list[str] = []
        for metric in self._metrics:
            if metric.to in now:
                lines += [f"# TYPE {metric.name} gauge", _sample(metric.name, self._labels(metric), now[metric.to])]
            else:
                lines += (self._requests.get(metric.name) or self._measured[metric.name]).lines()
        return ("\n".join(lines) + "\n").encode()


def _of_ended(row: SentRow) -> Iterator[tuple[str, float]]:
    """Yield what a request adds that did not only run, but ended."""
    yield "server_request_prompt_tokens", row.prompt_tokens
    yield "server_request_generation_tokens", row.tokens
    yield "server_request_duration", (row.end - row.recv) / 1e9
    yield "server_request_time", (row.end - row.recv) / 1e9
    yield "server_queue_duration", (row.start - row.recv) / 1e9
    yield "server_queue_time", (row.start - row.recv) / 1e9
    if row.tokens:
        first, last = row.token_stamps()
        yield "server_prefill_duration", (first - row.start) / 1e9
        yield "server_decode_duration", (last - first) / 1e9
        yield "server_inference_duration", (last - row.start) / 1e9
        yield "server_time_per_output_token", (last - first) / max(row.tokens - 1, 1) / 1e9


_REQUESTS: Final = frozenset({"server_requests", "server_requests_failed"})
_NOW: Final = frozenset(
    {
        *("server_requests_running", "server_requests_waiting", "server_requests_in_flight"),
        *("server_kv_cache_utilization", "server_prefix_cache_hit_ratio"),
    }
)
_MEASURED: Final = frozenset(
    {
        *("server_prompt_tokens", "server_generation_tokens", "server_prompt_cached_tokens"),
        *("server_prefix_cache_queries", "server_prefix_cache_hits", "server_preemptions"),
        *("server_time_to_first_token", "server_inter_token_latency", "server_time_per_output_token"),
        *("server_prompt_time", "server_generation_time", "server_request_time", "server_queue_time"),
        *("server_request_prompt_tokens", "server_request_generation_tokens", "server_request_duration"),
        *("server_queue_duration", "server_prefill_duration", "server_decode_duration", "server_inference_duration"),
    }
)
_SIMULATED: Final = _REQUESTS | _NOW | _MEASURED
