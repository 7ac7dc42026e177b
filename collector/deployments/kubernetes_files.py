"""The generated Kubernetes objects: a monitor per engine, the agent with its transform statements, and the rules."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Final

from otel_llm_collector.deployments.fragment import transform_statements
from otel_llm_collector.deployments.kept_series import relabelling
from otel_llm_collector.engine_tables.table import EngineTable
from otel_llm_collector.yaml_text import header

__all__ = ["kubernetes_files"]

_LABEL: Final = "otel-llm/engine"
"""The pod label that says which engine runs in the pod."""


def kubernetes_files(
    tables: Sequence[EngineTable], rules: Mapping[str, str], scraped: Mapping[str, str]
) -> Mapping[str, str]:
    """Return the text of each file by its name, without `.yaml`.

    rules: the text of each rule file by its name; scraped: of those for a Prometheus that scrapes engines itself.
    """
    comment = header("collector/engines")
    return {
        "monitors": comment + "---\n".join(map(_monitor, tables)),
        "agent": comment + _agent(tables),
        "rules": comment + "---\n".join(_rules(name, text) for name, text in rules.items()),
        "scraped": comment + "---\n".join(_rules(f"scraped_{name}", text) for name, text in scraped.items()),
    }


def _monitor(table: EngineTable) -> str:
    """Return the object by which the target allocator, or Prometheus itself, finds an engine's pods."""
    return f"""\
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: {_dns(table.name)}
  labels: {{app.kubernetes.io/part-of: otel-llm}}
spec:
  jobLabel: {_LABEL}
  namespaceSelector: {{any: true}}
  selector:
    matchLabels: {{{_LABEL}: {table.name}}}
  sampleLimit: 5000
  podMetricsEndpoints:
    - portNumber: {table.port}
      path: {table.path}
      interval: 15s
      metricRelabelings:
{textwrap.indent(relabelling(table, camel=True), " " * 8)}
"""


def _agent(tables: Sequence[EngineTable]) -> str:
    """Return the agent. The target allocator divides the engines among its replicas, so that each is scraped once."""
    processors = "\n".join(
        f"      transform/{table.name}:\n        error_mode: ignore\n        metric_statements:\n"
        + textwrap.indent(transform_statements(table), "    ")
        for table in tables
    )
    names = ", ".join(f"transform/{table.name}" for table in tables)
    return f"""\
apiVersion: opentelemetry.io/v1beta1
kind: OpenTelemetryCollector
metadata:
  name: otel-llm-agent
spec:
  mode: statefulset
  replicas: 2
  image: otel/opentelemetry-collector-contrib:0.161.0
  podDisruptionBudget:
    maxUnavailable: 1
  env:
    - {{name: GOMEMLIMIT, value: 400MiB}}  # garbage is collected harder before the limiter refuses
    # Names here tell this cluster's engines from those of others. Namespace, pod and node are known already.
    - {{name: DEPLOYMENT_ENVIRONMENT, value: ""}}
    - {{name: DEPLOYMENT_CLUSTER, value: ""}}
  resources:
    requests: {{cpu: 200m, memory: 256Mi}}
    limits: {{memory: 512Mi}}
  targetAllocator:
    enabled: true
    serviceAccount: otel-llm-targets
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
