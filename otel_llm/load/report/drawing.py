"""How every chart of a page looks: by Bokeh, whose JavaScript is in its wheel.

Charts are SVG: they print as sharp as text, and a canvas that is painted while a page is printed stays empty in
Chromium. Colours of axes, grid and text are variables of the page's style sheet, so that they follow its light and dark
scheme. Those of the data are told apart by colour-blind readers, and stand out from both backgrounds.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from bokeh.core.types import ID
from bokeh.embed import json_item
from bokeh.models import FixedTicker, HoverTool, NumeralTickFormatter
from bokeh.models.annotations import Label
from bokeh.plotting import figure

__all__ = [
    "AMBER",
    "BLUE",
    "CRIMSON",
    "GREY",
    "TEAL",
    "Chart",
    "Key",
    "chart",
    "decade_ticks",
    "hover",
    "label",
    "new_figure",
]

BLUE: Final = "#1c7ed6"
AMBER: Final = "#e8930c"
TEAL: Final = "#0f9b8e"
CRIMSON: Final = "#d6336c"
GREY: Final = "#868e96"

_FONT: Final = "system-ui, sans-serif"
_HEIGHT: Final = 230
_FEW_DECADES: Final = 4


class Key(NamedTuple):
    """What a colour means."""

    color: str
    means: str


class Chart(NamedTuple):
    """A chart of the page.

    name:  unique on the page
    about: what it shows, for those who cannot see it
    item:  what `Bokeh.embed.embed_item` takes
    """

    name: str
    group: str
    title: str
    about: str
    keys: Sequence[Key]
    item: Mapping[str, Any]
    height: int


def new_figure(height: int = _HEIGHT, **options: Any) -> Any:
    """Return a figure without data. options: of bokeh.plotting.figure"""
    made: Any = figure(
        height=height, sizing_mode="stretch_width", output_backend="svg", toolbar_location=None, tools="",
        background_fill_color=None, border_fill_color=None, outline_line_color=None, min_border_right=14,
        min_border_top=8, **options,
    )  # fmt: skip
    for axis in made.axis:
        axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = None
        axis.major_label_text_font_size = axis.axis_label_text_font_size = "12px"
        axis.axis_label_text_font_style = "normal"
        axis.major_label_text_font = axis.axis_label_text_font = _FONT
    made.xaxis.ticker.desired_num_ticks = 5
    made.yaxis.ticker.desired_num_ticks = 4
    made.xgrid.grid_line_color = None
    made.yaxis.formatter = NumeralTickFormatter(format="0,0.[00]")
    return made


def chart(name: str, group: str, title: str, about: str, made: Any, keys: Sequence[Key] = ()) -> Chart:
    """Return a figure as a chart of the page."""
    return Chart(name, group, title, about, keys, json_item(made, ID(f"chart-{name}")), made.height)


def hover(made: Any, text: str, **options: Any) -> None:
    """Show a text, such as `@text`, beside the pointer."""
    made.add_tools(HoverTool(tooltips=[("", text)], **options))


def decade_ticks(low: float, high: float) -> FixedTicker:
    """Return ticks of a logarithmic axis: 1, 2, 5, 10 and so on; of a long one the decades."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(decades) <= _FEW_DECADES else (1,)
    return FixedTicker(ticks=[step * 10.0**at for at in decades for step in steps if low <= step * 10.0**at <= high])


def label(made: Any, x: float, y: float, text: str, **options: Any) -> None:
    """Write a text into a figure."""
    style: dict[str, Any] = {"text_font_size": "12px", "text_font": _FONT, "text_baseline": "middle", **options}
    made.add_layout(Label(x=x, y=y, text=text, **style))
