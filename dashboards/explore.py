"""Ways out of a board: to the other boards, and to traces."""

import json
import re
from typing import Final
from urllib.parse import quote

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from otel_llm import conventions

__all__ = ["links"]

_SLOW_FIRST_TOKEN_S: Final = 2
"""As the Collector's tail sampling has it unless TRACES_SLOW_FIRST_TOKEN_S says otherwise."""


def links(tag: str) -> list[Builder[models.DashboardLink]]:
    """Return links to the boards of a tag, and to slow and failed calls in the stores of traces.

    Boards are found by their tag: a link by uid would need one that is the same in every Grafana. Time and choices
    are carried over. Jaeger finds nothing without the name of a service, which is chosen there.
    """
    boards = dashboard.DashboardLink("LLM boards").type(models.DashboardLinkType.DASHBOARDS).tags([tag])
    boards.icon("external link").tooltip("").include_vars(True).keep_time(True).as_dropdown(False)
    slow = f"span.{conventions.TIME_TO_FIRST_TOKEN} > {_SLOW_FIRST_TOKEN_S}"
    traceql = f"{{{slow} || (span.{conventions.OPERATION_NAME} != nil && status = error)}}"
    return [
        boards,
        _explore("Slow and failed calls in Tempo", "tempo", {"queryType": "traceql", "query": traceql, "limit": 50}),
        _explore(
            "Failed calls of a service in Jaeger", "jaeger", {"queryType": "search", "tags": "error=true", "limit": 50}
        ),
    ]


def _explore(title: str, kind: str, query: dict[str, object]) -> Builder[models.DashboardLink]:
    """Return a link to a query of a store of traces, in the time range of the board."""
    chosen = f"${{{kind}_datasource}}"
    pane = {
        "datasource": chosen,
        "queries": [{"refId": "A", "datasource": {"type": kind, "uid": chosen}, **query}],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    url = f"/explore?schemaVersion=1&orgId=1&panes={_encoded(json.dumps({'a': pane}))}"
    return (
        dashboard.DashboardLink(title)
        .type(models.DashboardLinkType.LINK)
        .url(url)
        .icon("external link")
        .tooltip(f"In Explore, with the {kind.title()} data source of this board")
        .target_blank(True)
    )


def _encoded(text: str) -> str:
    """Return it percent-encoded, but for the variables that Grafana fills in."""
    return "".join(part if part.startswith("${") else quote(part, safe="") for part in re.split(r"(\$\{\w+\})", text))
