"""`/metrics` of the simulated server in the vocabulary of vLLM, with its edges and its habits.

As vLLM counts: a request that its client leaves is in the histogram of the first token and in no count of requests, and
what is refused before it ran is an HTTP answer and nothing else.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from otel_llm.sim.truth import LEFT, SentRow
from otel_llm_collector.engine_tables.table import find_engine_table

__all__ = ["Exposition"]

_LABELS = 'engine="0",model_name="sim"'


class _Histogram:
    def __init__(self, edges: Sequence[float]) -> None:
        self._edges, self._counts = edges, array("q", bytes(8 * (len(edges) + 1)))
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._edges, seconds)] += 1
        self._sum += seconds

    def lines(self, name: str) -> Iterator[str]:
        total = 0
        for edge, count in zip((*self._edges, float("inf")), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{{_LABELS},le="{"+Inf" if edge == float("inf") else edge}"}} {total}'
        yield f"{name}_count{{{_LABELS}}} {total}"
        yield f"{name}_sum{{{_LABELS}}} {self._sum}"


class Exposition:
    """Counts requests as they end; `page` says what was counted."""

    def __init__(self) -> None:
        table = find_engine_table("vllm")
        listed = {metric.name: table.edges(metric) or _LENGTHS for metric in table.metrics}
        self._histograms = {name: _Histogram(listed[name]) for name in _HISTOGRAMS}
        self._counters: Counter[str] = Counter()
        self._ended = Counter(dict.fromkeys(("stop", "length", "abort", "error"), 0))
        self._answered: Counter[str] = Counter()

    def add(self, row: SentRow) -> None:
        """Count a request that ended."""
        self._answered[f'handler="{row.path}",method="POST",status="{row.status // 100}xx"'] += 1
        if row.status != 200 or not row.start:
            return
        self._counters["prompt_tokens"] += row.prompt_tokens
        self._counters["generation_tokens"] += row.tokens
        self._counters["prefix_cache_queries"] += row.prompt_tokens
        self._counters["prefix_cache_hits"] += row.cached_tokens
        first, last = row.token_stamps()
        if row.tokens:
            self._observe("time_to_first_token", first - row.recv)
            for before, at in pairwise(row.token_moments()):
                self._observe("inter_token_latency", at - before)
        if row.err != LEFT:
            self._add_ended(row, first, last)

    def _add_ended(self, row: SentRow, first: int, last: int) -> None:
        self._ended["error" if row.fault or row.err else row.finish] += 1
        self._histograms["vllm:request_prompt_tokens"].observe(row.prompt_tokens)
        self._histograms["vllm:request_generation_tokens"].observe(row.tokens)
        self._observe("e2e_request_latency", row.end - row.recv)
        self._observe("request_queue_time", row.start - row.recv)
        if row.tokens:
            self._observe("request_prefill_time", first - row.start)
            self._observe("request_decode_time", last - first)
            self._observe("request_inference_time", last - row.start)
            self._observe("request_time_per_output_token", (last - first) // max(row.tokens - 1, 1))

    def _observe(self, name: str, ns: int) -> None:
        self._histograms[f"vllm:{name}_seconds"].observe(ns / 1e9)

    def page(self, running: int, waiting: int) -> bytes:
        """Return the page: running, waiting are requests at this moment."""
        lines = []
        now = (("num_requests_running", running), ("num_requests_waiting", waiting), ("kv_cache_usage_perc", 0))
        for name, value in now:
            lines += [f"# TYPE vllm:{name} gauge", f"vllm:{name}{{{_LABELS}}} {float(value)}"]
        for name in _COUNTERS:
            lines += [f"# TYPE vllm:{name} counter", f"vllm:{name}_total{{{_LABELS}}} {float(self._counters[name])}"]
        lines.append("# TYPE vllm:request_success counter")
        for reason, count in self._ended.items():
            lines.append(f'vllm:request_success_total{{{_LABELS},finished_reason="{reason}"}} {float(count)}')
        lines.append("# TYPE http_requests counter")
        lines += [f"http_requests_total{{{labels}}} {float(count)}" for labels, count in self._answered.items()]
        for name, histogram in self._histograms.items():
            lines += [f"# TYPE {name} histogram", *histogram.lines(name)]
        return ("\n".join(lines) + "\n").encode()


_LENGTHS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)
_COUNTERS = ("prompt_tokens", "generation_tokens", "prefix_cache_queries", "prefix_cache_hits", "num_preemptions")
_TIMES = (
    *("time_to_first_token", "inter_token_latency", "request_time_per_output_token", "e2e_request_latency"),
    *("request_queue_time", "request_prefill_time", "request_decode_time", "request_inference_time"),
)
_HISTOGRAMS = (
    *(f"vllm:{name}_seconds" for name in _TIMES),
    *("vllm:request_prompt_tokens", "vllm:request_generation_tokens"),
)
