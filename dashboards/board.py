"""A board: rows of panels laid out in Grafana's grid of 24 columns, and the JSON of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from otel_llm_dashboards.explore import links
from otel_llm_dashboards.panels import Panel
from otel_llm_dashboards.variables import Variable

__all__ = ["TAG", "Board", "Row"]

COLUMNS: Final = 24
TAG: Final = "otel-llm"
"""What the boards find each other by. They have no uid of their own: an import or a provider gives them one."""

_SCHEMA: Final = 41
"""The newest that Grafana 11 to 13 all read; the builders write 42."""


@dataclass(frozen=True, slots=True)
class Row:
    """A heading that folds what is below it. `folded`: it is closed, and asks nothing until it is opened."""

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
    variables: Sequence[Variable]
    annotations: Sequence[Builder[models.AnnotationQuery]] = field(default=())
    span: str = "now-1h"

    def json(self) -> str:
        """Return it as the text of a file."""
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
        made.panels = _laid_out(self.rows)
        return json.dumps(_tidied(json.loads(json.dumps(made, cls=JSONEncoder))), indent=2) + "\n"


def _laid_out(rows: Sequence[Row]) -> list[models.Panel | models.RowPanel]:
    """Return the panels from left to right and from top to bottom, each row beginning a new line."""
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
            built = panel.made.build()
            built.id_val, built.grid_pos = number, models.GridPos(panel.height, panel.width, x, y)
            (heading.panels if row.folded else found).append(built)
            x, lowest = x + panel.width, max(lowest, y + panel.height)
        # the panels of a closed row take no room until it is opened
        y = heading.grid_pos.y + 1 if row.folded and heading.grid_pos else lowest
    return found


def _tidied(made: Any) -> Any:
    """Return it without what the builders write of themselves and some Grafana has not.

    11 lacks the menu that links and annotations are hidden in, 12 and 13 the tables' line of totals.
    """
    for hidden in (*made["links"], *made["annotations"]["list"]):
        hidden.pop("placement", None)
    for panel in made["panels"]:
        for inner in (panel, *panel.get("panels", ())):
            inner.get("options", {}).pop("footer", None)
    return made
