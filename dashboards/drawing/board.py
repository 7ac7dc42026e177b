"""A board: rows of panels, laid out in Grafana's grid of 24 columns and written as JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from otel_llm_dashboards.drawing.charts import Links
from otel_llm_dashboards.drawing.links import links
from otel_llm_dashboards.drawing.panel import Panel

__all__ = ["TAG", "Board", "Row"]

COLUMNS: Final = 24
TAG: Final = "otel-llm"
"""Boards find each other by this tag. They have no uid of their own: an import or a provider gives them one."""

_SCHEMA: Final = 41
"""The newest schema that Grafana 11, 12 and 13 all read. The builders would write 42."""


@dataclass(frozen=True, slots=True)
class Row:
    """A heading, and the panels below it. `folded`: closed at first, so that nothing is queried until it is opened."""

    title: str
    panels: Sequence[Panel]
    folded: bool = True


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard."""

    name: str
    title: str
    about: str
    rows: Sequence[Row]
    variables: Sequence[Builder[models.VariableModel]]
    annotations: Sequence[Builder[models.AnnotationQuery]] = field(default=())
    span: str = "now-1h"
    links: Links = ()
    """Where a click on a figure leads whose panel does not say."""

    def json(self) -> str:
        """Return the text of the board's file."""
        made = (
            dashboard.Dashboard(self.title)
            .description(self.about)
            .tags([TAG])
            .timezone("browser")
            .readonly()
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
            .time(self.span, "now")
            .refresh("30s")
            .variables(list(self.variables))
            .annotations(list(self.annotations))
            .links(links(TAG))
        ).build()
        made.schema_version = _SCHEMA
        made.panels = _lay_out(self.rows, self.links)
        return json.dumps(_strip(json.loads(json.dumps(made, cls=JSONEncoder))), indent=2) + "\n"


def _lay_out(rows: Sequence[Row], figures_lead_to: Links) -> list[models.Panel | models.RowPanel]:
    """Return the panels placed from left to right and from top to bottom. Each row begins a new line."""
    found: list[models.Panel | models.RowPanel] = []
    y = number = 0
    for row in rows:
        number += 1
        heading = models.RowPanel(row.folded, row.title, None, models.GridPos(1, COLUMNS, 0, y), number)
        found.append(heading)
        x, y, lowest = 0, y + 1, y + 1
        for panel in row.panels:
            number += 1
            if x + panel.width > COLUMNS:
                x, y = 0, lowest
            built = panel.builder.build()
            if built.type_val == "stat" and built.field_config and not built.field_config.defaults.links:
                built.field_config.defaults.links = [link.build() for link in figures_lead_to]
            built.id_val, built.grid_pos = number, models.GridPos(panel.height, panel.width, x, y)
            (heading.panels if row.folded else found).append(built)
            x, lowest = x + panel.width, max(lowest, y + panel.height)
        # the panels of a closed row take no room until it is opened
        y = heading.grid_pos.y + 1 if row.folded and heading.grid_pos else lowest
    return found


def _strip(made: Any) -> Any:
    """Return a board without the fields that the builders add and that some version of Grafana does not know.

    Grafana 11 lacks the menu that links and annotations are hidden in; 12 and 13 lack the totals of tables. Links of
    values have less than those of boards, whose builder makes both.
    """
    for hidden in (*made["links"], *made["annotations"]["list"]):
        hidden.pop("placement", None)
    for panel in made["panels"]:
        for inner in (panel, *panel.get("panels", ())):
            inner.get("options", {}).pop("footer", None)
            defaults = inner.get("fieldConfig", {}).get("defaults", {})
            if found := defaults.pop("links", None):
                defaults["links"] = [{key: link[key] for key in ("title", "url", "targetBlank")} for link in found]
    return made
