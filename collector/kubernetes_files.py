"""What of the Kubernetes tier is generated: a monitor per engine, the agent with its statements, rules as objects."""

import textwrap
from collections.abc import Iterable, Mapping
from typing import Final

from otel_llm_collector.fragment import HEADER, kept, statements
from otel_llm_collector.table import Engine

__all__ = ["kubernetes_files"]

_LABEL: Final = "otel-llm/engine"
"""The pod label that says which engine runs in it."""


def kubernetes_files(engines: Iterable[Engine], rules: Mapping[str, str]) -> Mapping[str, str]:
    """Return the text of each generated file by its name."""
    tables = tuple(engines)
    header = HEADER.format(source="collector/engines")
    return {
        "monitors": header + "---\n".join(map(_monitor, tables)),
        "agent": header + _agent(tables),
        "rules": header + "---\n".join(_rules(name, text) for name, text in rules.items()),
    }


def _monitor(engine: Engine) -> str:
    """Return what makes the target allocator, or Prometheus itself, find the engine's pods."""
    return f"""\
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: {_dns(engine.name)}
  labels: {{app.kubernetes.io/part-of: otel-llm}}
spec:
  jobLabel: {_LABEL}
  namespaceSelector: {{any: true}}
  selector:
    matchLabels: {{{_LABEL}: {engine.name}}}
  sampleLimit: 5000
  podMetricsEndpoints:
    - portNumber: {engine.port}
      path: {engine.path}
      interval: 15s
      metricRelabelings:
        - sourceLabels: [__name__]
          regex: {kept(engine)}
          action: keep
"""


def _agent(engines: tuple[Engine, ...]) -> str:
    """Return the agent: the target allocator shares the engines among its replicas, each is scraped once."""
    processors = "\n".join(
        f"      transform/{table.name}:\n        error_mode: ignore\n        metric_statements:\n"
        + textwrap.indent(statements(table), "    ")
        for table in engines
    )
    names = ", ".join(f"transform/{table.name}" for table in engines)
    return f"""\
apiVersion: opentelemetry.io/v1beta1
kind: OpenTelemetryCollector
metadata:
  name: otel-llm-agent
spec:
  mode: statefulset
  replicas: 2
  image: otel/opentelemetry-collector-contrib:0.155.0
  resources:
    requests: {{cpu: 200m, memory: 256Mi}}
    limits: {{memory: 512Mi}}
  targetAllocator:
    enabled: true
    allocationStrategy: consistent-hashing
    prometheusCR:
      enabled: true
      scrapeInterval: 15s
      podMonitorSelector:
        matchLabels: {{app.kubernetes.io/part-of: otel-llm}}
  config:
    receivers:
      prometheus:
        config:
          scrape_configs: []
    processors:
      memory_limiter:
        check_interval: 1s
        limit_mib: 400
        spike_limit_mib: 100
{processors}
    exporters:
      otlp_grpc/gateway:
        endpoint: otel-llm-gateway:4317
        tls:
          insecure: true
        sending_queue:
          queue_size: 1000
        retry_on_failure:
          max_elapsed_time: 0s
    service:
      pipelines:
        metrics:
          receivers: [prometheus]
          processors: [memory_limiter, {names}]
          exporters: [otlp_grpc/gateway]
"""


def _rules(name: str, text: str) -> str:
    """Return a rule file as the object that kube-prometheus and Mimir's operators take."""
    groups = text[text.index("groups:") :]
    head = f"metadata:\n  name: otel-llm-{_dns(name)}\n  labels: {{app.kubernetes.io/part-of: otel-llm}}\n"
    return f"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\n{head}spec:\n" + textwrap.indent(groups, "  ")


def _dns(name: str) -> str:
    return name.replace("_", "-")
