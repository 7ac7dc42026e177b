"""What each kind of panel looks like, in one place: a board says what is shown, not how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models import prometheus as forms

__all__ = [
    "DASHED",
    "MARKED",
    "Panel",
    "Query",
    "heatmap_of",
    "limited",
    "lines",
    "number",
    "states",
    "store",
    "targets",
    "worded",
]

Shape = Literal["lines", "table", "heatmap"]

DASHED: Final = (("custom.lineStyle", {"fill": "dash", "dash": [6, 6]}), ("custom.lineWidth", 1))
MARKED: Final = (
    ("custom.drawStyle", "points"),
    ("custom.pointSize", 9),
    ("color", {"mode": "fixed", "fixedColor": "red"}),
)


@dataclass(frozen=True, slots=True)
class Query:
    """One expression of a panel, and what its results are called. `exact`: once for the whole time range."""

    expr: str
    legend: str = ""
    exemplars: bool = False
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel and its size in a grid of 24 columns."""

    made: Builder[models.Panel]
    width: int
    height: int


def store(kind: str = "prometheus") -> looks.DataSourceRef:
    """Return the data source that is chosen at the top of the board. No board names one by its uid."""
    return looks.DataSourceRef(
        type_val=kind, uid="${datasource}" if kind == "prometheus" else f"${{{kind}_datasource}}"
    )


def lines(
    title: str,
    about: str,
    unit: str,
    *queries: Query,
    width: int = 12,
    limits: Sequence[tuple[float, str]] = (),
    styles: Mapping[str, Sequence[tuple[str, object]]] | None = None,
    stacked: bool = False,
    logarithmic: bool = False,
    signed: bool = False,
    top: float | None = None,
) -> Panel:
    """Return lines over time. limits: values from which a colour stands; styles: properties of names that match.

    The axis begins at 0, but where values may be below it (`signed`) and where it is logarithmic, which has no 0.
    """
    made = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .unit(unit)
        .datasource(store())
        .targets(targets(queries, "lines"))
        .legend(_legend("lastNotNull", "max"))
        .tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING))
        .thresholds(limited(limits))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC))
        .line_width(1)
        .fill_opacity(10 if stacked else 0)
        .show_points(looks.VisibilityMode.AUTO)
        .span_nulls(False)
    )
    if not (logarithmic or signed):
        made.min(0)
    if limits:
        made.thresholds_style(common.GraphThresholdsStyleConfig().mode(looks.GraphThresholdsStyleMode.DASHED))
    if stacked:
        made.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL).group("A"))
    if logarithmic:
        made.scale_distribution(common.ScaleDistributionConfig().type(looks.ScaleDistribution.LOG).log(10))
    if top is not None:
        made.max(top)
    for name, properties in (styles or {}).items():
        made.override_by_regexp(name, [models.DynamicConfigValue(key, value) for key, value in properties])
    return Panel(made, width, 8)


def number(
    title: str,
    about: str,
    unit: str,
    *queries: Query,
    width: int = 4,
    limits: Sequence[tuple[float, str]] = (),
    words: Mapping[str, tuple[str, str]] | None = None,
) -> Panel:
    """Return the last value of each series as a large figure. words: value → (text, colour)."""
    made = (
        stat.Panel()
        .title(title)
        .description(about)
        .unit(unit)
        .datasource(store())
        .targets(targets(queries, "lines"))
        .reduce_options(common.ReduceDataOptions().values(False).calcs(["lastNotNull"]).fields(""))
        .graph_mode(looks.BigValueGraphMode.NONE)
        .color_mode(looks.BigValueColorMode.VALUE)
        .justify_mode(looks.BigValueJustifyMode.AUTO)
        .text_mode(looks.BigValueTextMode.VALUE_AND_NAME if queries[0].legend else looks.BigValueTextMode.AUTO)
        .orientation(looks.VizOrientation.AUTO)
        .thresholds(limited(limits))
        .mappings(worded(words or {}))
    )
    return Panel(made, width, 4)


def heatmap_of(title: str, about: str, unit: str, query: Query, width: int = 12) -> Panel:
    """Return how values are spread over time; exemplars are dots, and each leads to its trace."""
    made = (
        heatmap.Panel()
        .title(title)
        .description(about)
        .unit(unit)
        .datasource(store())
        .targets(targets((query,), "heatmap"))
        .calculate(False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heat.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .fill("dark-orange")
            .scale(heat.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
        )
        .y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(looks.AxisPlacement.LEFT))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(looks.HeatmapCellLayout.AUTO))
        .cell_values(heatmap.CellValues().unit("reqps"))
        .tooltip(
            heatmap.HeatmapTooltip().mode(looks.TooltipDisplayMode.SINGLE).y_histogram(True).show_color_scale(True)
        )
        .exemplars_color("rgba(255,0,255,0.8)")
        .show_legend()
    )
    return Panel(made, width, 9)


def states(
    title: str, about: str, *queries: Query, words: Mapping[str, tuple[str, str]], width: int = 12, height: int = 8
) -> Panel:
    """Return a bar over time for each series, whose colour says in which state it was."""
    made = (
        statetimeline.Panel()
        .title(title)
        .description(about)
        .unit("none")
        .datasource(store())
        .targets(targets(queries, "lines"))
        .mappings(worded(words))
        .thresholds(limited(()))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .show_value(looks.VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.8)
        .legend(_legend())
        .tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.SINGLE).sort(looks.SortOrder.NONE))
    )
    return Panel(made, width, height)


def targets(queries: Sequence[Query], shape: Shape) -> list[Builder[Dataquery]]:
    """Return the queries as a panel has them, called A, B, C and so on."""
    made: list[Builder[Dataquery]] = []
    for place, query in enumerate(queries):
        target = prometheus.Dataquery().ref_id(chr(ord("A") + place)).datasource(store()).expr(query.expr)
        target.legend_format(query.legend).editor_mode(forms.QueryEditorMode.CODE).exemplar(query.exemplars)
        if shape == "table" or query.exact:
            target.instant()
        else:
            target.range()
        made.append(target.format(_FORMATS[shape]))
    return made


_FORMATS: Final = {
    "lines": forms.PromQueryFormat.TIME_SERIES,
    "table": forms.PromQueryFormat.TABLE,
    "heatmap": forms.PromQueryFormat.HEATMAP,
}


def _legend(*calcs: str) -> common.VizLegendOptions:
    mode = looks.LegendDisplayMode.TABLE if calcs else looks.LegendDisplayMode.LIST
    shown = common.VizLegendOptions().display_mode(mode).placement(looks.LegendPlacement.BOTTOM).show_legend(True)
    return shown.calcs(list(calcs))


def limited(steps: Sequence[tuple[float, str]]) -> dashboard.ThresholdsConfig:
    """Return the colours of values: green, or none, below the first of the steps."""
    below = models.Threshold(value=None, color="green" if steps else "text")
    above = [models.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps([below, *above])


def worded(texts: Mapping[str, tuple[str, str]]) -> list[models.ValueMapping]:
    """Return words in place of values: value → (text, colour)."""
    if not texts:
        return []
    found = {
        value: models.ValueMappingResult(text=text, color=color, index=place)
        for place, (value, (text, color)) in enumerate(texts.items())
    }
    return [models.ValueMap(options=found)]
