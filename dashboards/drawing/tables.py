"""Tables: a row for each combination of labels, a column for each query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import common
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as models

from otel_llm_dashboards.drawing.panel import Panel, Query, data_source, targets, thresholds, value_mappings

__all__ = ["Column", "table"]

_COLOURED: Final = models.DynamicConfigValue("custom.cellOptions", {"type": "color-text"})


@dataclass(frozen=True, slots=True)
class Column:
    """The values of one query under a heading. With an empty heading, only the labels of its results are shown."""

    heading: str
    expr: str
    unit: str = "none"
    words: Mapping[str, tuple[str, str]] | None = None
    limits: Sequence[tuple[float, str]] = ()


def table(
    title: str,
    about: str,
    labels: Mapping[str, str],
    *columns: Column,
    words: Mapping[str, Mapping[str, tuple[str, str]]] | None = None,
    hidden: Sequence[str] = (),
    sort: str = "",
    width: int = 24,
    height: int = 9,
) -> Panel:
    """Return a table. labels: label → heading, in order; words: heading → the words shown in place of values."""
    values = {f"Value #{chr(ord('A') + place)}": column for place, column in enumerate(columns)}
    headings = {**labels, **{name: column.heading for name, column in values.items() if column.heading}}
    unseen = ["Time", *hidden, *(name for name, column in values.items() if not column.heading)]
    made = (
        tables.Panel()
        .title(title)
        .description(about)
        .unit("none")
        .datasource(data_source())
        .targets(targets([Query(column.expr) for column in columns], "table"))
        .thresholds(thresholds(()))
        .show_header(True)
        .cell_height(looks.TableCellHeight.SM)
        .filterable(True)
        .with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            models.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": dict.fromkeys(unseen, True),
                    "indexByName": {name: place for place, name in enumerate(headings)},
                    "renameByName": headings,
                },
            )
        )
    )
    if sort:
        made.sort_by([common.TableSortByFieldState().display_name(sort).desc(True)])
    for heading, texts in (words or {}).items():
        made.override_by_name(heading, [models.DynamicConfigValue("mappings", value_mappings(texts))])
    for column in columns:
        if column.heading:
            made.override_by_name(column.heading, _properties(column))
    return Panel(made, width, height)


def _properties(column: Column) -> list[models.DynamicConfigValue]:
    found = [models.DynamicConfigValue("unit", column.unit)]
    if column.words:
        found += [models.DynamicConfigValue("mappings", value_mappings(column.words)), _COLOURED]
    if column.limits:
        found += [models.DynamicConfigValue("thresholds", thresholds(column.limits).build()), _COLOURED]
    return found
