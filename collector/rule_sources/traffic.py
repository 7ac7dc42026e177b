"""Recording rules for requests, errors and tokens, and for how full engines are."""

from collections.abc import Iterator
from typing import Final

from otel_llm import conventions
from otel_llm_collector.rule_sources.dimensions import BY, MODEL, TRAFFIC, VANTAGE
from otel_llm_collector.rule_sources.rule import Rule
from otel_llm_collector.vocabulary.prometheus_names import CALLS, label_name, series_for

__all__ = ["series_rules", "traffic_rules"]

_ERROR: Final = label_name(conventions.ERROR_TYPE)
_SERIES: Final = '{__name__=~"(gen_ai|otel_llm)[_:].+|traces_span_metrics_.+"}'
"""Everything about language models, what rules record of it included: that is most of it."""


def traffic_rules() -> Iterator[Rule]:
    """Yield requests, errors, tokens, caches, queues, and load runs' share."""
    yield from _requests()
    for name in ("prompt", "generation"):
        tokens = f"sum by ({BY}) (rate({series_for(f'server_{name}_tokens')}[5m]))"
        yield Rule(f"otel_llm:{name}_tokens:rate5m", tokens)
    yield from _load()
    cache = series_for("server_kv_cache_utilization")
    yield Rule("otel_llm:kv_cache:max", f"max by ({BY}) ({cache})")
    yield Rule("otel_llm:kv_cache:avg", f"avg by ({BY}) ({cache})")
    hits, queries = (f"rate({series_for(f'server_prefix_cache_{what}')}[5m])" for what in ("hits", "queries"))
    yield Rule("otel_llm:prefix_cache:hit_ratio5m", f"sum by ({BY}) ({hits}) / (sum by ({BY}) ({queries}) > 0)")
    yield from _means()
    runs = f'sum by ({MODEL}) (otel_llm:requests:rate5m{{{TRAFFIC}!=""}})'
    served = f'(sum by ({MODEL}, {VANTAGE}) (otel_llm:requests:rate5m{{{VANTAGE}!="client", {TRAFFIC}=""}}) > 0)'
    yield Rule("otel_llm:load_run:share5m", f"{runs} / on ({MODEL}) group_right () {served}")


def series_rules() -> Iterator[Rule]:
    """Yield how many series all of this takes. Each of them is looked at, so this is for once a minute."""
    yield Rule("otel_llm:series:by_job", f"count by (job) ({_SERIES})")
    yield Rule("otel_llm:series:count", "sum(otel_llm:series:by_job)")


def _load() -> Iterator[Rule]:
    """Yield how many requests run and how many wait. Of those in flight, the ones that do not wait run."""
    running, waiting, in_flight = (
        f"sum by ({BY}) ({series_for(f'server_requests_{what}')})" for what in ("running", "waiting", "in_flight")
    )
    yield Rule("otel_llm:requests_running:sum", f"{running}\nor clamp_min({in_flight} - {waiting}, 0)\nor {in_flight}")
    yield Rule("otel_llm:requests_waiting:sum", waiting)
    both = "otel_llm:requests_running:sum + otel_llm:requests_waiting:sum"
    yield Rule("otel_llm:requests_waiting:ratio", f"otel_llm:requests_waiting:sum / (({both}) > 0)")


def _means() -> Iterator[Rule]:
    """Yield means of engines that only give totals. The totals hold requests that succeeded, and so do the counts."""
    succeeded = f'{series_for("server_requests")}{{{_ERROR}=""}}'
    for name, seconds in (("request_duration", "server_request_time"), ("queue_duration", "server_queue_time")):
        requests = f"(sum by ({BY}) (rate({succeeded}[5m])) > 0)"
        yield Rule(f"otel_llm:{name}:mean5m", f"sum by ({BY}) (rate({series_for(seconds)}[5m])) / {requests}")


def _requests() -> Iterator[Rule]:
    """Yield requests per second by how they ended, as counted by clients and by engines, and the share that failed.

    A gateway's own count goes before the calls that it made for it. Some engines count failures only beside all
    requests: there the others are the difference. A failure that names no model, such as a request refused before it
    was read, is a share of all requests of its service.
    """
    by = f"{BY}, {_ERROR}"
    ended, apart = (series_for(key) for key in ("server_requests", "server_requests_failed"))
    unfailed = f'sum by ({BY}) (rate({ended}{{{_ERROR}=""}}[5m])) - sum by ({BY}) (rate({apart}[5m]))'
    counts = [f"clamp_min({unfailed}, 0)", *(f"sum by ({by}) (rate({name}[5m]))" for name in (ended, apart))]
    native, explicit = (
        [" or ".join(f"rate({name}{part}[5m])" for name in names) for names in CALLS] for part in ("", "_count")
    )
    counts += [f"histogram_count(sum by ({by}) ({rates}))" for rates in native]
    counts += [f"sum by ({by}) ({rates})" for rates in explicit]
    yield Rule("otel_llm:requests:rate5m", "\nor\n".join(counts))
    failed = f'sum by ({BY}) (otel_llm:requests:rate5m{{{_ERROR}!=""%s}})'
    every = f"sum by ({BY}) (otel_llm:requests:rate5m%s)"
    of_model, of_none = f', {MODEL}!=""', f', {MODEL}=""'
    shares = [f"({failed % which} or 0 * {every % f'{{{which[2:]}}}'})" for which in (of_model, of_none)]
    service = BY.replace(f"{MODEL}, ", "")
    yield Rule(
        "otel_llm:errors:ratio5m",
        f"{shares[0]} / ({every % f'{{{of_model[2:]}}}'} > 0)\n"
        f"or\n{shares[1]} / on ({service}) (sum by ({service}) (otel_llm:requests:rate5m) > 0)",
    )
