"""What the server's metrics say of a run: totals between the first look and the last, and the course between them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any, Final

import numpy as np

from otel_llm.load.server.energy import gpu_report
from otel_llm.load.server.scrape import Scrape
from otel_llm_collector.engine_tables.reading import Buckets, Reading
from otel_llm_collector.engine_tables.table import EngineTable, engine_tables

__all__ = ["server_report"]

_CLOSEST: Final = ("engine", "frontend", "gateway")
"""Whose counts are taken where several are looked at: a request that a gateway hands on is in both."""

_GAUGES: Final = {
    "running": "server_requests_running",
    "waiting": "server_requests_waiting",
    "in_flight": "server_requests_in_flight",
    "kv_cache": "server_kv_cache_utilization",
}
_SHARES: Final = frozenset(("kv_cache",))
_MOST_POINTS: Final = 600


def server_report(scrapes: Sequence[Scrape], output_tokens: int) -> dict[str, Any]:
    """Return what the scrapes of a run say, as the report has it.

    output_tokens: of the run, by the client's account: what energy is divided by
    """
    by_source = {url: [each for each in scrapes if each.url == url] for url in dict.fromkeys(s.url for s in scrapes)}
    tables = {table.name: table for table in engine_tables()}
    counted = list(_counted(by_source, tables))
    ticks = [list(group) for _, group in groupby(_of(scrapes, counted), key=lambda each: each.tick)]
    inside = [tick for tick in ticks if not any(each.whole for each in tick)] or ticks
    spans = [_Span(by_source[url], tables[_engine(by_source[url])]) for url in counted]
    return {
        "sources": [_source(url, rows, tables) for url, rows in by_source.items()],
        "counted": counted,
        **{name: _gauge(name, key, inside) for name, key in _GAUGES.items()},
        **_totals(spans),
        "histograms": _histograms(spans),
        "gpu": gpu_report(scrapes, output_tokens),
        "course": _course(ticks),
    }


def _of(scrapes: Sequence[Scrape], urls: Sequence[str]) -> list[Scrape]:
    return [each for each in scrapes if each.url in urls and each.reading is not None]


def _counted(by_source: Mapping[str, Sequence[Scrape]], tables: Mapping[str, EngineTable]) -> Iterator[str]:
    """Yield the sources whose counts are added up: those of the vantage closest to the model."""
    vantages = {url: tables[engine].vantage for url, rows in by_source.items() if (engine := _engine(rows))}
    closest = next((vantage for vantage in _CLOSEST if vantage in vantages.values()), None)
    yield from (url for url, vantage in vantages.items() if vantage == closest)


def _engine(rows: Sequence[Scrape]) -> str:
    return next((row.engine for row in rows if row.engine), "")


def _source(url: str, rows: Sequence[Scrape], tables: Mapping[str, EngineTable]) -> dict[str, Any]:
    engine = _engine(rows) or None
    errors = [row.error for row in rows if row.error is not None and not (engine and row.reading is not None)]
    return {
        "url": url,
        "engine": engine,
        "title": tables[engine].title if engine else None,
        "vantage": tables[engine].vantage if engine else None,
        "looks": len(rows),
        "failed": len(errors),
        "error": errors[-1] if errors else None,
    }


class _Span:
    """What one source counted between its first look and its last."""

    def __init__(self, rows: Sequence[Scrape], table: EngineTable) -> None:
        self._apart = {metric.to for metric in table.metrics if metric.apart}
        self._readings = [row.reading for row in rows if row.reading is not None]
        whole = [row.reading for row in rows if row.reading is not None and row.whole]
        self.first = whole[0] if len(whole) > 1 else None
        self.last = whole[-1] if len(whole) > 1 else None

    @property
    def complete(self) -> bool:
        """Whether it was looked at before and after the run."""
        return self.last is not None

    def counted(self, of: Callable[[Reading], Mapping[str, float]]) -> dict[str, float]:
        """Return how much each counter grew. One that falls was begun anew, and counts from 0."""
        grown: dict[str, float] = {}
        for before, after in pairwise(self._readings):
            for name, value in of(after).items():
                more = value - of(before).get(name, 0.0)
                grown[name] = grown.get(name, 0.0) + (more if more >= 0 else value)
        return grown

    def from_cache(self) -> float:
        """Return the prompt tokens that it had cached and left out of its prompt tokens."""
        grown = self.counted(lambda reading: reading.counters)
        return sum(grown.get(name, 0.0) for name in self._apart)

    def histogram(self, key: str) -> Buckets | None:
        """Return what came into a histogram; None where there is none, or where it was begun anew."""
        if self.first is None or self.last is None or (after := self.last.histograms.get(key)) is None:
            return None
        before = self.first.histograms.get(key) or Buckets(after.edges, [0.0] * len(after.edges), 0.0, 0.0)
        if before.edges != after.edges or before.count > after.count:
            return None
        counts = [now - then for now, then in zip(after.counts, before.counts, strict=True)]
        return Buckets(after.edges, counts, after.count - before.count, after.sum - before.sum)


def _added(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0.0) + value
    return total


def _totals(spans: Sequence[_Span]) -> dict[str, Any]:
    complete = bool(spans) and all(span.complete for span in spans)
    counters = _added(span.counted(lambda reading: reading.counters) for span in spans)
    failed = _added(span.counted(lambda reading: reading.failed) for span in spans)
    reasons = _added(span.counted(lambda reading: reading.reasons) for span in spans)
    if from_cache := sum(span.from_cache() for span in spans):
        counters["server_prompt_tokens"] = counters.get("server_prompt_tokens", 0.0) + from_cache
    cached, prompt = (counters.get(f"server_prompt_{name}") for name in ("cached_tokens", "tokens"))
    if cached is not None and prompt is not None:
        counters = {"server_prefix_cache_queries": prompt, "server_prefix_cache_hits": cached} | counters

    def whole(key: str) -> int | None:
        return round(counters[key]) if key in counters else None

    return {
        "complete": complete,
        "requests": whole("server_requests"),
        "failed": {kind: round(count) for kind, count in sorted(failed.items()) if round(count)},
        "reasons": {reason: round(count) for reason, count in sorted(reasons.items()) if round(count)},
        "input_tokens": whole("server_prompt_tokens"),
        "output_tokens": whole("server_generation_tokens"),
        "prefix_cache": _ratio(counters, "server_prefix_cache_hits", "server_prefix_cache_queries"),
        "preemptions": whole("server_preemptions"),
        "speculation": _ratio(
            counters, "server_speculation_accepted_tokens", "server_speculation_draft_tokens"
        ),
    }  # fmt: skip


def _ratio(counters: Mapping[str, float], part: str, whole: str) -> dict[str, Any] | None:
    """Return both and their share; None where the engine does not count them, or counted none."""
    if not counters.get(whole):
        return None
    found = counters.get(part, 0.0)
    return {"hits": round(found), "of": round(counters[whole]), "share": found / counters[whole]}


def _gauge(name: str, key: str, ticks: Sequence[Sequence[Scrape]]) -> dict[str, float] | None:
    """Return the mean and the largest value over the looks; of several servers their sum, of shares the largest."""
    values = [value for tick in ticks if (value := _value(name, key, tick)) is not None]
    return {"mean": float(np.mean(values)), "max": max(values)} if values else None


def _value(name: str, key: str, tick: Sequence[Scrape]) -> float | None:
    found = [each.reading.gauges[key] for each in tick if each.reading is not None and key in each.reading.gauges]
    return (max if name in _SHARES else sum)(found) if found else None


def _histograms(spans: Sequence[_Span]) -> dict[str, Any]:
    keys = {key for span in spans if span.last is not None for key in span.last.histograms}
    found = {key: merged for key in sorted(keys) if (merged := _merged([span.histogram(key) for span in spans]))}
    return {key: _described(buckets) for key, buckets in found.items() if buckets.count}


def _merged(parts: Sequence[Buckets | None]) -> Buckets | None:
    """Return several histograms as one; None where one of them is missing or has other edges."""
    there = [part for part in parts if part is not None]
    if len(there) < len(parts) or any(part.edges != there[0].edges for part in there):
        return None
    counts = [sum(each) for each in zip(*(part.counts for part in there), strict=True)]
    return Buckets(there[0].edges, counts, sum(part.count for part in there), sum(part.sum for part in there))


def _described(buckets: Buckets) -> dict[str, Any]:
    return {
        "count": round(buckets.count),
        "mean": buckets.sum / buckets.count,
        "edges": buckets.edges,
        "counts": [round(count) for count in buckets.counts],
    }


def _course(ticks: Sequence[Sequence[Scrape]]) -> dict[str, list[float | None]]:
    """Return the gauges look by look, and output tokens per second since the look before; at most 600 of them."""
    step = -(-len(ticks) // _MOST_POINTS) or 1
    kept = [tick for number, tick in enumerate(ticks) if number % step == 0]
    course: dict[str, list[float | None]] = {"at": [max(each.at_ns for each in tick) / 1e9 for tick in kept]}
    for name, key in _GAUGES.items():
        values = [_value(name, key, tick) for tick in kept]
        if any(value is not None for value in values):
            course[name] = values
    tokens = [_tokens(tick) for tick in kept]
    rates: list[float | None] = [None]
    for (before, after), (then, now) in zip(pairwise(tokens), pairwise(course["at"]), strict=True):
        known = None not in (before, after, then, now) and now > then and after >= before  # type: ignore[operator]
        rates.append((after - before) / (now - then) if known else None)  # type: ignore[operator]
    return course | {"output_tokens_per_second": rates} if kept else course


def _tokens(tick: Sequence[Scrape]) -> float | None:
    key = "server_generation_tokens"
    found = [each.reading.counters[key] for each in tick if each.reading is not None and key in each.reading.counters]
    return sum(found) if found else None
