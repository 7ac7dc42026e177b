"""Recording rules for requests, errors and tokens, and for how full engines are."""

from collections.abc import Iterator
from typing import Final

from otel_llm import conventions
from otel_llm_collector.rule_sources.dimensions import BY
from otel_llm_collector.rule_sources.rule import Rule
from otel_llm_collector.vocabulary.prometheus_names import label_name, series_for, series_name

__all__ = ["traffic_rules"]

_ERROR: Final = label_name(conventions.ERROR_TYPE)


def traffic_rules() -> Iterator[Rule]:
    """Yield requests, errors, tokens, caches, queues, and how many series all of this takes."""
    yield from _requests()
    for name in ("prompt", "generation"):
        tokens = f"sum by ({BY}) (rate({series_for(f'server_{name}_tokens')}[5m]))"
        yield Rule(f"otel_llm:{name}_tokens:rate5m", tokens)
    running, waiting = series_for("server_requests_running"), series_for("server_requests_waiting")
    yield Rule("otel_llm:requests_running:sum", f"sum by ({BY}) ({running})")
    yield Rule("otel_llm:requests_waiting:sum", f"sum by ({BY}) ({waiting})")
    both = "otel_llm:requests_running:sum + otel_llm:requests_waiting:sum"
    yield Rule("otel_llm:requests_waiting:ratio", f"otel_llm:requests_waiting:sum / (({both}) > 0)")
    cache = series_for("server_kv_cache_utilization")
    yield Rule("otel_llm:kv_cache:max", f"max by ({BY}) ({cache})")
    yield Rule("otel_llm:kv_cache:avg", f"avg by ({BY}) ({cache})")
    hits, queries = (f"rate({series_for(f'server_prefix_cache_{what}')}[5m])" for what in ("hits", "queries"))
    yield Rule("otel_llm:prefix_cache:hit_ratio5m", f"sum by ({BY}) ({hits}) / (sum by ({BY}) ({queries}) > 0)")
    for name, seconds in (("request_duration", "server_request_time"), ("queue_duration", "server_queue_time")):
        requests = f"(sum by ({BY}) (rate({series_for('server_requests')}[5m])) > 0)"
        yield Rule(f"otel_llm:{name}:mean5m", f"sum by ({BY}) (rate({series_for(seconds)}[5m])) / {requests}")
    yield Rule("otel_llm:series:count", 'count({__name__=~"(gen_ai|otel_llm)_.+"})')
    yield Rule("otel_llm:series:by_job", 'count by (job) ({__name__=~"(gen_ai|otel_llm)_.+"})')


def _requests() -> Iterator[Rule]:
    """Yield requests per second by how they ended, as counted by clients and by engines, and the share that failed."""
    by = f"{BY}, {_ERROR}"
    duration = conventions.instrument("operation_duration")
    names = [series_name(duration, name) for name in (duration.v1_41, duration.latest)]
    counts = [f"histogram_count(sum by ({by}) (rate({name}[5m])))" for name in names]
    counts += [f"sum by ({by}) (rate({name}_count[5m]))" for name in names]
    counts += [f"sum by ({by}) (rate({series_for('server_requests')}[5m]))"]
    yield Rule("otel_llm:requests:rate5m", "\nor\n".join(counts))
    failed = f'sum by ({BY}) (otel_llm:requests:rate5m{{{_ERROR}!=""}})'
    every = f"sum by ({BY}) (otel_llm:requests:rate5m)"
    yield Rule("otel_llm:errors:ratio5m", f"({failed} or 0 * {every}) / ({every} > 0)")
