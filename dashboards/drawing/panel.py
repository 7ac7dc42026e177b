"""A panel and its queries, and what panels of every kind have: data source, targets, thresholds, value mappings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from grafana_foundation_sdk.builders import dashboard, prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as forms

__all__ = ["Panel", "Query", "data_source", "targets", "thresholds", "value_mappings"]

Shape = Literal["lines", "table", "heatmap"]

_FORMATS: Final = {
    "lines": forms.PromQueryFormat.TIME_SERIES,
    "table": forms.PromQueryFormat.TABLE,
    "heatmap": forms.PromQueryFormat.HEATMAP,
}


@dataclass(frozen=True, slots=True)
class Query:
    """One expression of a panel, and the legend of its results. `once`: asked once for the whole time range."""

    expr: str
    legend: str = ""
    exemplars: bool = False
    once: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel, and its size in a grid of 24 columns."""

    builder: Builder[models.Panel]
    width: int
    height: int


def data_source(kind: str = "prometheus") -> looks.DataSourceRef:
    """Return the data source that is chosen at the top of the board. No board names one by its uid."""
    return looks.DataSourceRef(
        type_val=kind, uid="${datasource}" if kind == "prometheus" else f"${{{kind}_datasource}}"
    )


def targets(queries: Sequence[Query], shape: Shape) -> list[Builder[Dataquery]]:
    """Return the queries as a panel has them, called A, B, C and so on."""
    made: list[Builder[Dataquery]] = []
    for place, query in enumerate(queries):
        target = prometheus.Dataquery().ref_id(chr(ord("A") + place)).datasource(data_source()).expr(query.expr)
        target.legend_format(query.legend).editor_mode(forms.QueryEditorMode.CODE).exemplar(query.exemplars)
        if shape == "table" or query.once:
            target.instant()
        else:
            target.range()
        made.append(target.format(_FORMATS[shape]))
    return made


def thresholds(steps: Sequence[tuple[float, str]]) -> dashboard.ThresholdsConfig:
    """Return the colours of values. Below the first of the steps it is green; without steps there is no colour."""
    below = models.Threshold(value=None, color="green" if steps else "text")
    above = [models.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps([below, *above])


def value_mappings(texts: Mapping[str, tuple[str, str]]) -> list[models.ValueMapping]:
    """Return words to show in place of values: value → (text, colour)."""
    if not texts:
        return []
    found = {
        value: models.ValueMappingResult(text=text, color=color, index=place)
        for place, (value, (text, color)) in enumerate(texts.items())
    }
    return [models.ValueMap(options=found)]
