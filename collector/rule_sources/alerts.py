"""Alerts. Each has a runbook, runbooks/NAME.md, that says what to look at.

They are about users: load runs never fire one, nor does traffic too little to tell a bad hour from a bad request.
"""

import json
from collections.abc import Iterator
from typing import Final

from otel_llm import conventions
from otel_llm_collector.engine_tables.table import engine_tables
from otel_llm_collector.rule_sources.dimensions import BY, MODEL, USERS, VANTAGE
from otel_llm_collector.rule_sources.rule import Alert
from otel_llm_collector.vocabulary.collector_self_metrics import QUEUE_CAPACITY, QUEUE_SIZE
from otel_llm_collector.vocabulary.measures import QUEUE, WAITED_FOR
from otel_llm_collector.vocabulary.prometheus_names import label_name

__all__ = ["alerts"]

_PROMISES: Final = {"time_to_first_token": "FirstToken", "inter_token_latency": "InterTokenLatency"}
_SAID: Final = {
    "model": conventions.REQUEST_MODEL,
    "engine": conventions.ENGINE,
    "cluster": conventions.CLUSTER,
    "namespace": conventions.NAMESPACE,
}
_WHO: Final = "{{ $labels.job }}" + "".join(
    f"{{{{ with $labels.{label_name(key)} }}}}, {word} {{{{ . }}}}{{{{ end }}}}" for word, key in _SAID.items()
)
"""Job, model, engine, cluster and namespace, as far as they are known."""
_ENOUGH: Final = 'otel_llm:alert_traffic:count{alert="%s"}'
_VALUE: Final = "{{ $value | humanizePercentage }}"


def alerts() -> Iterator[Alert]:
    """Yield all alerts."""
    for measure, name in _PROMISES.items():
        yield from _burn_alerts(measure, name)
    yield Alert(
        "OtelLlmErrors",
        f"otel_llm:errors:ratio5m{{{USERS}}} > 0.05\n"
        f"and on ({BY}) 300 * sum by ({BY}) (otel_llm:requests:rate5m) >= scalar({_ENOUGH % 'errors'})\n"
        f"{_unless_load_run('15m')}",
        "5m",
        "page",
        f"{_WHO}: {_VALUE} of requests fail, more than 5%",
    )
    yield Alert(
        "OtelLlmSaturated",
        f"otel_llm:requests_waiting:ratio > 0.5\n{_unless_load_run('15m')}",
        "10m",
        "ticket",
        f"{_WHO}: {_VALUE} of the requests in it wait, more than run",
    )
    yield Alert(
        "OtelLlmCacheFull",
        f"otel_llm:kv_cache:max > 0.95\n{_unless_load_run('15m')}",
        "10m",
        "ticket",
        f"{_WHO}: {_VALUE} of the key-value cache of the fullest replica is in use, more than 95%",
    )
    yield from _silent()
    jobs = "|".join(table.name for table in engine_tables())
    yield Alert(
        "OtelLlmScrapeMissing",
        f'up{{job=~"{jobs}"}} == 0',
        "2m",
        "page",
        "{{ $labels.job }} at {{ $labels.instance }} does not answer, so its measures are missing",
    )
    clipped = "\nor\n".join(
        f"otel_llm:{measure.name}:above_last_edge5m{{{USERS}}} >= 0.01" for measure in (*WAITED_FOR, QUEUE)
    )
    yield Alert(
        "OtelLlmPercentileClipped",
        f"({clipped})\n{_unless_load_run('15m')}",
        "10m",
        "ticket",
        f"{_WHO}: p99 is above the last bucket edge, so the number shown is only a lower bound",
    )
    yield Alert(
        "OtelLlmSeriesBudget",
        "otel_llm:series:count > scalar(otel_llm:series_budget:count)",
        "10m",
        "ticket",
        "{{ $value }} series of language models: more than the budget in rules/slo.yaml",
    )
    yield Alert(
        "OtelLlmCollectorQueue",
        f"{QUEUE_SIZE} / ({QUEUE_CAPACITY} > 0) > 0.5",
        "5m",
        "page",
        f"the Collector's queue to {{{{ $labels.exporter }}}} is {_VALUE} full: its store is not accepting data",
    )


def _burn_alerts(measure: str, name: str) -> Iterator[Alert]:
    """Yield a fast and a slow alert on the error budget, each on two windows so that it ends when the cause does.

    At 14.4 times the allowed rate an hour spends two per cent of a month's budget; at 6 times, six hours spend five.
    """
    for speed, factor, windows, run_over, severity in (
        ("Fast", 14.4, ("5m", "1h"), "15m", "page"),
        ("Slow", 6, ("30m", "6h"), "45m", "ticket"),
    ):
        budget = f"ignoring (window) group_left () {factor} * otel_llm:{measure}:slo_budget"
        short, long = (f'otel_llm:{measure}:slow_ratio{{window="{window}", {USERS}}} > {budget}' for window in windows)
        yield Alert(
            f"OtelLlm{name}Burn{speed}",
            f"({long})\nand ignoring (window)\n({short})\n"
            f"and ignoring (window)\n({_enough(measure, windows[1])})\n{_unless_load_run(run_over)}",
            "2m",
            severity,
            f"{_WHO}: {_VALUE} of {measure.replace('_', ' ')} values {_threshold(measure)}, over {factor:g} times the "
            "promised share",
        )


def _silent() -> Iterator[Alert]:
    """Yield the alert on services that sent requests half an hour ago and now send nothing, not even that none came."""
    by = ", ".join(("job", VANTAGE, *(label_name(key) for key in (conventions.CLUSTER, conventions.NAMESPACE))))
    sent = f"sum by ({by}) (otel_llm:requests:rate5m{{{USERS}}}%s)"
    yield Alert(
        "OtelLlmSilent",
        f"{sent % ' offset 30m'} * 300 >= scalar({_ENOUGH % 'errors'})\nunless on ({by}) {sent % ''}",
        "10m",
        "ticket",
        f"{_WHO}: no measures any more; half an hour ago it had {{{{ $value | humanize }}}} requests in five minutes",
    )


def _threshold(measure: str) -> str:
    """Return the template that says which threshold the values of a series are above."""
    labels = ("job", MODEL)
    asked = f"otel_llm:{measure}:slo_threshold{{{', '.join(f'{name}=%q' for name in labels)}}}"
    values = " ".join(f"$labels.{name}" for name in labels)
    found = f"printf {json.dumps(asked)} {values} | query"
    return f"are above {{{{ with {found} }}}}{{{{ . | first | value | humanizeDuration }}}}{{{{ end }}}}"


def _unless_load_run(since: str) -> str:
    """Return what leaves out engines and gateways that load runs gave most of their work, not long ago.

    Their own series do not tell users from load runs; those of clients do.
    """
    return f"unless on ({MODEL}, {VANTAGE}) max_over_time(otel_llm:load_run:share5m[{since}]) > 0.5"


def _enough(measure: str, window: str) -> str:
    """Return the services that had enough values in a window. How often rules are evaluated is counted, not known."""
    evaluated = f"scalar(count_over_time({_ENOUGH % 'burn'}[5m]))"
    values = f"sum_over_time(otel_llm:{measure}:count_rate5m[{window}]) * 300 / {evaluated}"
    return f"{values} >= scalar({_ENOUGH % 'burn'})"
