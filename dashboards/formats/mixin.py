"""A monitoring mixin: dashboards, recording rules and alerts as plain files, and the jsonnet that names them all."""

from collections.abc import Iterable, Mapping
from typing import Final

from otel_llm_collector.package_files import installed_rule_files, installed_runbooks

__all__ = ["mixin_files"]

_ALERTS: Final = "alerts.yaml"
_ENTRY: Final = """\
// Dashboards, recording rules and alerts as monitoring mixins have them:
//   local llm = import 'otel-llm/mixin.libsonnet';
//   { dashboards: llm.grafanaDashboards, rules: llm.prometheusRules, alerts: llm.prometheusAlerts }
local groups(files) = { groups+: std.flattenArrays([file.groups for file in files]) };

{
  _config+:: {
    // Put before the names of the dashboards' files.
    dashboardPrefix: 'otel-llm-',
    // What `runbook_url` begins with: where you publish the pages of runbooks/.
    runbookURL: 'runbooks/',
    // What wakes somebody, and what can wait until the morning.
    severities: { page: 'page', ticket: 'ticket' },
  },

  grafanaDashboards+:: {
    [$._config.dashboardPrefix + name]: boards[name]
    for name in std.objectFields(boards)
  },
  prometheusRules+:: groups(rules),
  prometheusAlerts+:: {
    groups+: [group { rules: std.map(worded, group.rules) } for group in groups(alerts).groups],
  },

  local worded = function(rule) rule {
    labels+: { severity: $._config.severities[rule.labels.severity] },
    annotations+: { runbook_url: $._config.runbookURL + std.split(rule.annotations.runbook_url, '/')[1] },
  },

  local boards = {
@BOARDS@
  },
  local rules = [
@RULES@
  ],
  local alerts = [
@ALERTS@
  ],
}
"""


def mixin_files(boards: Mapping[str, str]) -> Mapping[str, str]:
    """Return the text of each file of the mixin by its path. boards: the JSON of each board by its file name."""
    rules = installed_rule_files()
    dashboards = {f"dashboards/{name}": text for name, text in boards.items()}
    recording = {f"rules/{name}": text for name, text in rules.items() if name != _ALERTS}
    alerts = {f"alerts/{_ALERTS}": rules[_ALERTS]}
    entry = _ENTRY.replace("@BOARDS@", _list_items(f"'{name}': import 'dashboards/{name}'" for name in boards))
    for place, paths in (("@RULES@", recording), ("@ALERTS@", alerts)):
        entry = entry.replace(place, _list_items(f"std.parseYaml(importstr '{path}')" for path in paths))
    return {"mixin.libsonnet": entry, **dashboards, **recording, **alerts, **installed_runbooks()}


def _list_items(items: Iterable[str]) -> str:
    return "\n".join(f"    {item}," for item in items)
