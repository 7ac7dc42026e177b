"""The kinds of panel: lines, numbers, heatmaps and states. A board says what is shown; how it looks is said here."""

from collections.abc import Mapping, Sequence
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders import heatmap as heatmaps
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_models

from otel_llm_dashboards.drawing.panel import Panel, Query, data_source, targets, thresholds, value_mappings

__all__ = ["DASHED", "MARKED", "Links", "heatmap", "lines", "number", "states"]

Links = Sequence[Builder[models.DashboardLink]]
"""Where a click on a value leads."""

DASHED: Final = (("custom.lineStyle", {"fill": "dash", "dash": [6, 6]}), ("custom.lineWidth", 1))
MARKED: Final = (
    ("custom.drawStyle", "points"),
    ("custom.pointSize", 9),
    ("color", {"mode": "fixed", "fixedColor": "red"}),
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
    links: Links = (),
) -> Panel:
    """Return lines over time. limits: the values from which on a colour applies; styles: properties by name pattern.

    The axis begins at 0 unless values may be negative (`signed`), or it is logarithmic and has no 0.
    """
    made = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .unit(unit)
        .datasource(data_source())
        .targets(targets(queries, "lines"))
        .legend(_legend("lastNotNull", "max"))
        .tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING))
        .thresholds(thresholds(limits))
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
    return Panel(made.data_links(list(links)), width, 8)


def number(
    title: str,
    about: str,
    unit: str,
    *queries: Query,
    width: int = 4,
    limits: Sequence[tuple[float, str]] = (),
    words: Mapping[str, tuple[str, str]] | None = None,
    links: Links = (),
) -> Panel:
    """Return the last value of each series as a large figure. words: value → (text, colour)."""
    made = (
        stat.Panel()
        .title(title)
        .description(about)
        .unit(unit)
        .datasource(data_source())
        .targets(targets(queries, "lines"))
        .reduce_options(common.ReduceDataOptions().values(False).calcs(["lastNotNull"]).fields(""))
        .graph_mode(looks.BigValueGraphMode.NONE)
        .color_mode(looks.BigValueColorMode.VALUE)
        .justify_mode(looks.BigValueJustifyMode.AUTO)
        .text_mode(looks.BigValueTextMode.VALUE_AND_NAME if queries[0].legend else looks.BigValueTextMode.AUTO)
        .orientation(looks.VizOrientation.AUTO)
        .thresholds(thresholds(limits))
        .mappings(value_mappings(words or {}))
    )
    return Panel(made.data_links(list(links)), width, 4)


def heatmap(title: str, about: str, unit: str, query: Query, width: int = 12, links: Links = ()) -> Panel:
    """Return the spread of values over time. Exemplars are dots, and each leads to its trace."""
    made = (
        heatmaps.Panel()
        .title(title)
        .description(about)
        .unit(unit)
        .datasource(data_source())
        .targets(targets((query,), "heatmap"))
        .calculate(False)
        .color(
            heatmaps.HeatmapColorOptions()
            .mode(heatmap_models.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .fill("dark-orange")
            .scale(heatmap_models.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
        )
        .y_axis(heatmaps.YAxisConfig().unit(unit).axis_placement(looks.AxisPlacement.LEFT))
        .rows_frame(heatmaps.RowsHeatmapOptions().layout(looks.HeatmapCellLayout.AUTO))
        .cell_values(heatmaps.CellValues().unit("reqps"))
        .tooltip(
            heatmaps.HeatmapTooltip().mode(looks.TooltipDisplayMode.SINGLE).y_histogram(True).show_color_scale(True)
        )
        .exemplars_color("rgba(255,0,255,0.8)")
        .show_legend()
    )
    return Panel(made.data_links(list(links)), width, 9)


def states(
    title: str, about: str, *queries: Query, words: Mapping[str, tuple[str, str]], width: int = 12, height: int = 8
) -> Panel:
    """Return a bar over time for each series, whose colour shows the state it was in."""
    made = (
        statetimeline.Panel()
        .title(title)
        .description(about)
        .unit("none")
        .datasource(data_source())
        .targets(targets(queries, "lines"))
        .mappings(value_mappings(words))
        .thresholds(thresholds(()))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .show_value(looks.VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.8)
        .legend(_legend())
        .tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.SINGLE).sort(looks.SortOrder.NONE))
    )
    return Panel(made, width, height)


def _legend(*calcs: str) -> common.VizLegendOptions:
    mode = looks.LegendDisplayMode.TABLE if calcs else looks.LegendDisplayMode.LIST
    shown = common.VizLegendOptions().display_mode(mode).placement(looks.LegendPlacement.BOTTOM).show_legend(True)
    return shown.calcs(list(calcs))
