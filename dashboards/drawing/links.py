"""Links from a board: to the other boards, and to traces in Explore."""

import json
import re
from typing import Final
from urllib.parse import quote

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from otel_llm import conventions

__all__ = ["explore_url", "links"]

_SLOW_FIRST_TOKEN_S: Final = 2
"""What the Collector's tail sampling takes for slow, unless TRACES_SLOW_FIRST_TOKEN_S says otherwise."""


def links(tag: str) -> list[Builder[models.DashboardLink]]:
    """Return links to the boards with a tag, and to slow and failed calls in the stores of traces.

    Boards are linked by tag because a uid would have to be the same in every Grafana. The links carry the time range
    and the choices along. Jaeger finds nothing without the name of a service, which has to be chosen there.
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


def explore_url(kind: str, query: dict[str, object]) -> str:
    """Return the address of Explore with a query of a store of traces, in the time range of the board."""
    chosen = f"${{{kind}_datasource}}"
    pane = {
        "datasource": chosen,
        "queries": [{"refId": "A", "datasource": {"type": kind, "uid": chosen}, **query}],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    return f"/explore?schemaVersion=1&orgId=1&panes={_encode(json.dumps({'a': pane}))}"


def _explore(title: str, kind: str, query: dict[str, object]) -> Builder[models.DashboardLink]:
    return (
        dashboard.DashboardLink(title)
        .type(models.DashboardLinkType.LINK)
        .url(explore_url(kind, query))
        .icon("external link")
        .tooltip(f"In Explore, with the {kind.title()} data source of this board")
        .target_blank(True)
    )


def _encode(text: str) -> str:
    """Return a text percent-encoded, except for the variables that Grafana fills in."""
    return "".join(
        part if part.startswith("${") else quote(part, safe="") for part in re.split(r"(\$\{[\w.]+\})", text)
    )
