"""An engine table as a Collector fragment: scrape the engine, keep what is listed, rename it to one vocabulary."""

import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

from otel_llm import conventions
from otel_llm_collector.deployments.kept_series import relabelling
from otel_llm_collector.engine_tables.table import ATTRIBUTES, EngineTable, Metric
from otel_llm_collector.yaml_text import header, quote

__all__ = ["fragment", "transform_statements"]

_PLACES: Final = {conventions.DEPLOYMENT: "DEPLOYMENT_ENVIRONMENT", conventions.CLUSTER: "DEPLOYMENT_CLUSTER"}
"""What a Collector says of all that it scrapes, and the variables that tell it."""


def fragment(table: EngineTable) -> str:
    """Return the YAML that adds this engine to `config/base.yaml`."""
    upper = table.name.upper()
    return f"""{header(f"collector/engines/{table.name}.toml")}\
# {table.title}, names as in {", ".join(table.versions)}. How its metrics are turned on: {table.enable}.
receivers:
  prometheus/{table.name}:
    config:
      scrape_configs:
        - job_name: {table.name}
          scrape_interval: ${{env:ENGINE_SCRAPE_INTERVAL:-15s}}
          metrics_path: ${{env:{upper}_METRICS_PATH:-{table.path}}}
          scheme: ${{env:{upper}_SCHEME:-http}}
          # YAML maps, as Prometheus has them: {{credentials: KEY}}, {{username: U, password: P}}, {{ca_file: PATH}}
          authorization: ${{env:{upper}_AUTHORIZATION:-null}}
          basic_auth: ${{env:{upper}_BASIC_AUTH:-null}}
          tls_config: ${{env:{upper}_TLS:-null}}
          # A YAML list: [host-a:{table.port}, host-b:{table.port}]
          static_configs:
            - targets: ${{env:{upper}_TARGETS:-[127.0.0.1:{table.port}]}}
          # What no table lists is not taken, and an engine whose series run away is not taken at all.
          sample_limit: ${{env:ENGINE_SAMPLE_LIMIT:-5000}}
          metric_relabel_configs:
{textwrap.indent(relabelling(table), " " * 12)}

processors:
  transform/{table.name}:
    error_mode: ignore
    metric_statements:
{transform_statements(table)}

service:
  pipelines:
    metrics/{table.name}:
      receivers: [prometheus/{table.name}]
      processors: [memory_limiter, transform/{table.name}]
      exporters: [forward/metrics]
"""


def transform_statements(table: EngineTable) -> str:
    """Return the transform statements. They touch only this engine's metrics, so several engines' can be chained."""
    return "\n".join(_groups(table))


def _groups(table: EngineTable) -> Iterator[str]:
    """Yield the groups of transform statements: first for the labels of all metrics, then for each metric."""
    names = "|".join(metric.name for metric in table.metrics if metric.to or metric.passed)
    gauges = [metric for metric in table.metrics if metric.type == "gauge" and metric.to]
    if table.copies and gauges:
        chosen = f'IsMatch(metric.name, "^({"|".join(metric.name for metric in gauges)})$$")'
        yield _group(chosen, [f'delete_key(datapoint.attributes, "{label}")' for label in table.copies])
        yield _group(chosen, ['aggregate_on_attributes("max")'])
    yield _group(f'IsMatch(metric.name, "^({names})$$")', _labels(table))
    for metric in table.metrics:
        if errors := list(_errors(metric)):
            yield _group(_is(metric), errors)
        if metric.to:
            yield _group(_is(metric), _rename(metric, table))


def _labels(table: EngineTable) -> Iterator[str]:
    """Yield the statements that say where a metric comes from, and give the engine's labels the names of ours."""
    for label, key in table.labels.items():
        said = f'datapoint.attributes["{label}"]'
        named = f'{said} != nil and not IsMatch({said}, "^(None)?$$")'
        yield f'set(datapoint.attributes["{ATTRIBUTES[key]}"], {said}) where {named}'
    if "response_model" in table.labels.values():
        asked, answered = (f'datapoint.attributes["{ATTRIBUTES[key]}"]' for key in ("model", "response_model"))
        yield f"set({asked}, {answered}) where {asked} == nil"
    for key, value in table.says.items():
        yield f'set(datapoint.attributes["{ATTRIBUTES[key]}"], "{value}")'
    yield f'set(datapoint.attributes["{conventions.ENGINE}"], "{table.name}")'
    yield f'set(datapoint.attributes["{conventions.VANTAGE}"], "{table.vantage}")'
    for key, variable in _PLACES.items():
        said = f"${{env:{variable}:-}}"
        yield f'set(resource.attributes["{key}"], "{said}") where "{said}" != ""'


def _errors(metric: Metric) -> Iterator[str]:
    """Yield the statements that give a metric's series their error.type."""
    error = f'datapoint.attributes["{conventions.ERROR_TYPE}"]'
    for label, pattern in metric.error_when.items():
        said = f'datapoint.attributes["{label}"]'
        yield f'set({error}, {said}) where {error} == nil and {said} != nil and IsMatch({said}, "^({pattern})$$")'
    if metric.error_when:
        yield f'set({error}, "_OTHER") where {error} == "None"'
    if metric.error:
        yield f'set({error}, "{metric.error}") where {error} == nil'


def _rename(metric: Metric, table: EngineTable) -> Iterator[str]:
    """Yield the statements that turn a metric into its instrument. Series that lose a label are added up."""
    made = metric.instrument
    kept = ", ".join(f'"{name}"' for name in _attributes(table))
    how = "max" if metric.type == "gauge" and made.unit == "1" else "sum"  # a share is never added up
    if metric.scale != 1:
        yield f'scale_metric({metric.scale:f}, "{made.unit}")'
    yield f'aggregate_on_attributes("{how}", [{kept}])'
    yield f'set(metric.description, "{made.description}")'
    yield f'set(metric.unit, "{made.unit}")'
    yield f'set(metric.name, "{metric.target}")'


def _group(condition: str, statements: Iterable[str]) -> str:
    lines = "\n".join(f"          - {quote(line)}" for line in statements)
    return f"      - conditions: [{quote(condition)}]\n        statements:\n{lines}"


def _attributes(table: EngineTable) -> Iterator[str]:
    yield from dict.fromkeys(ATTRIBUTES[key] for key in (*table.labels.values(), *table.says))
    if conventions.ERROR_TYPE not in {ATTRIBUTES[key] for key in table.labels.values()}:
        yield conventions.ERROR_TYPE
    yield conventions.ENGINE
    yield conventions.VANTAGE


def _is(metric: Metric) -> str:
    return f'metric.name == "{metric.name}"'
