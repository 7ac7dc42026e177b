"""GrafanaDashboard resources, which the Grafana operator hands to every Grafana that carries a label."""

import json
from collections.abc import Mapping

__all__ = ["operator_resources"]

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


def operator_resources(boards: Mapping[str, str]) -> Mapping[str, str]:
    """Return the YAML of each resource by its file name. boards: the JSON of each board by its file name."""
    names = {file.removesuffix(".json"): text for file, text in boards.items()}
    return {f"{name}.yaml": _resource(name, json.loads(text)) for name, text in names.items()}


def _resource(name: str, board: Mapping[str, object]) -> str:
    """Return a board as YAML, with its JSON on one line: kubectl keeps a copy of an object only up to 256 KiB."""
    return _RESOURCE.format(name=name, text=json.dumps(board, separators=(",", ":")))
