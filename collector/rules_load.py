"""Recording rules for what is asked of engines and how full they are."""

from collections.abc import Iterator
from typing import Final

from otel_llm import conventions
from otel_llm_collector.rule import Rule
from otel_llm_collector.rules_percentiles import QUANTILES, WHOSE
from otel_llm_collector.series import Measure, label, series

__all__ = ["between", "load"]

_BY: Final = ", ".join(("job", *WHOSE))
_ERROR: Final = label(conventions.ERROR_TYPE)
_MODEL: Final = label(conventions.REQUEST_MODEL)
_VANTAGE: Final = label(conventions.VANTAGE)


def _series(key: str) -> str:
    return series(conventions.instrument(key))


def load() -> Iterator[Rule]:
    """Yield requests, errors, tokens, caches, queues, and how many series all this is."""
    yield from _requests()
    for name in ("prompt", "generation"):
        tokens = f"sum by ({_BY}) (rate({_series(f'server_{name}_tokens')}[5m]))"
        yield Rule(f"otel_llm:{name}_tokens:rate5m", tokens)
    running, waiting = _series("server_requests_running"), _series("server_requests_waiting")
    yield Rule("otel_llm:requests_running:sum", f"sum by ({_BY}) ({running})")
    yield Rule("otel_llm:requests_waiting:sum", f"sum by ({_BY}) ({waiting})")
    both = "otel_llm:requests_running:sum + otel_llm:requests_waiting:sum"
    yield Rule("otel_llm:requests_waiting:ratio", f"otel_llm:requests_waiting:sum / (({both}) > 0)")
    yield Rule("otel_llm:kv_cache:max", f"max by ({_BY}) ({_series('server_kv_cache_utilization')})")
    yield Rule("otel_llm:kv_cache:avg", f"avg by ({_BY}) ({_series('server_kv_cache_utilization')})")
    hits, queries = (f"rate({_series(f'server_prefix_cache_{what}')}[5m])" for what in ("hits", "queries"))
    yield Rule("otel_llm:prefix_cache:hit_ratio5m", f"sum by ({_BY}) ({hits}) / (sum by ({_BY}) ({queries}) > 0)")
    for name, seconds in (("request_duration", "server_request_time"), ("queue_duration", "server_queue_time")):
        over = f"(sum by ({_BY}) (rate({_series('server_requests')}[5m])) > 0)"
        yield Rule(f"otel_llm:{name}:mean5m", f"sum by ({_BY}) (rate({_series(seconds)}[5m])) / {over}")
    yield Rule("otel_llm:series:count", 'count({__name__=~"(gen_ai|otel_llm)_.+"})')
    yield Rule("otel_llm:series:by_job", 'count by (job) ({__name__=~"(gen_ai|otel_llm)_.+"})')


def _requests() -> Iterator[Rule]:
    """Yield requests per second by how they ended, of clients as well as of engines."""
    by = f"{_BY}, {_ERROR}"
    duration = conventions.instrument("operation_duration")
    names = [series(duration, name) for name in (duration.v1_41, duration.latest)]
    counts = [f"histogram_count(sum by ({by}) (rate({name}[5m])))" for name in names]
    counts += [f"sum by ({by}) (rate({name}_count[5m]))" for name in names]
    counts += [f"sum by ({by}) (rate({_series('server_requests')}[5m]))"]
    yield Rule("otel_llm:requests:rate5m", "\nor\n".join(counts))
    failed = f'sum by ({_BY}) (otel_llm:requests:rate5m{{{_ERROR}!=""}})'
    every = f"sum by ({_BY}) (otel_llm:requests:rate5m)"
    yield Rule("otel_llm:errors:ratio5m", f"({failed} or 0 * {every}) / ({every} > 0)")


def between(measure: Measure) -> Iterator[Rule]:
    """Yield how much later clients see a percentile than the engine or gateway that they ask.

    Both sides are read off the same grid; off their own edges the difference can come out negative.
    """
    for q in QUANTILES:
        at = f'otel_llm:{measure.name}:quantile5m{{histogram="union", quantile="{q}", {_VANTAGE}="%s"}}'
        for inner in ("gateway", "frontend", "engine"):
            yield Rule(
                f"otel_llm:{measure.name}:client_minus5m",
                f"{at % 'client'} - on ({_MODEL}) {at % inner}",
                {"quantile": q, _VANTAGE: inner},
            )
