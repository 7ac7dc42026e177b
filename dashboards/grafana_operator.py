"""GrafanaDashboard resources, which the Grafana operator gives to the Grafana instances that carry a label."""

import json
from collections.abc import Mapping

__all__ = ["resource"]

_RESOURCE = """\
apiVersion: grafana.integreatly.org/v1beta1
kind: GrafanaDashboard
metadata:
  name: otel-llm-{name}
spec:
  folder: Language models
  # Which Grafana: the label of yours.
  instanceSelector:
    matchLabels:
      dashboards: grafana
  # So that an instance in another namespace takes it as well.
  allowCrossNamespaceImport: true
  json: |
    {text}
"""


def resource(name: str, board: Mapping[str, object]) -> str:
    """Return a board as YAML. Its JSON is on one line: kubectl keeps a copy of an object, of at most 256 KiB."""
    return _RESOURCE.format(name=name, text=json.dumps(board, separators=(",", ":")))
