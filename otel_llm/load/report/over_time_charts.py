"""The charts of a run over its time: requests, tokens, latencies and requests in progress."""

from collections.abc import Iterator, Mapping
from math import isnan
from typing import Any, Final

import numpy as np
from bokeh.models import ColumnDataSource
from bokeh.models.annotations import BoxAnnotation

from otel_llm.load.report.drawing import AMBER, BLUE, CRIMSON, GREY, TEAL, Chart, Key, chart, hover, new_figure
from otel_llm.load.report.model import OverTime
from otel_llm.measures import Floats

__all__ = ["over_time_charts"]

_QUANTILE_COLORS: Final = (BLUE, AMBER)


def over_time_charts(over: OverTime) -> Iterator[Chart]:
    """Yield them, in the order of the page."""
    yield _requests(over)
    yield _bars_alone(
        over, "tokens", "Output tokens a second", "Output tokens as they arrived, per second, over the run.",
        over.tokens, "tokens a second", BLUE,
    )  # fmt: skip
    for name, title, series in (
        ("first-token", "Time to first token", over.first_token),
        ("latency", "Request latency", over.latency),
    ):
        if not all(np.isnan(values).all() for values in series.values()):
            yield _latency(over, name, title, series)
    yield _bars_alone(
        over, "in-flight", "Requests in progress", "Requests in progress at the same time, over the run.",
        over.in_flight, "in progress", AMBER,
    )  # fmt: skip


def _requests(over: OverTime) -> Chart:
    made, keys = _begin(over), [Key(TEAL, "succeeded")]
    _bars(made, over, over.succeeded, "succeeded a second", TEAL)
    if over.failed.any():
        _bars(made, over, over.failed, "failed a second", CRIMSON, over.succeeded)
        keys.append(Key(CRIMSON, "failed"))
    hover(made, "@text", mode="vline")
    about = "Requests that ended, per second, over the run."
    return chart("requests", "over-time", "Requests a second", about, made, [*keys, *_late(over)])


def _bars_alone(over: OverTime, name: str, title: str, about: str, values: Floats, unit: str, color: str) -> Chart:
    made = _begin(over)
    _bars(made, over, values, unit, color)
    hover(made, "@text", mode="vline")
    return chart(name, "over-time", title, about, made, _late(over))


def _latency(over: OverTime, name: str, title: str, series: Mapping[str, Floats]) -> Chart:
    made = _begin(over)
    shown = [
        _line(made, over, values * 1e3, f"ms {quantile}", color)
        for (quantile, values), color in zip(series.items(), _QUANTILE_COLORS, strict=True)
    ]
    hover(made, "@text", renderers=shown, mode="vline")
    made.yaxis.axis_label = "ms"
    keys = [Key(color, quantile) for quantile, color in zip(series, _QUANTILE_COLORS, strict=True)]
    about = f"{title} of requests by the moment they were sent: {' and '.join(series)} over the run."
    return chart(name, "over-time", title, about, made, [*keys, *_late(over)])


def _begin(over: OverTime) -> Any:
    """Return an empty figure of the run's seconds, with those in grey in which this client was late."""
    made = new_figure(x_range=(0, float(over.starts[-1] + over.width)))
    made.xaxis.axis_label = "seconds"
    made.y_range.start = 0
    for low, high in over.limited:
        made.add_layout(BoxAnnotation(left=low, right=high, fill_color=GREY, fill_alpha=0.3, line_color=None))
    return made


def _late(over: OverTime) -> list[Key]:
    return [Key(GREY, "this client was late")] if over.limited else []


def _bars(made: Any, over: OverTime, values: Floats, unit: str, color: str, bottom: Floats | int = 0) -> None:
    data = {
        "x": _middle(over), "top": values + bottom, "bottom": values * 0 + bottom, "text": _said(over, values, unit),
    }  # fmt: skip
    made.vbar(
        "x", over.width * 0.92, "top", "bottom", source=ColumnDataSource(data), fill_color=color, line_color=None,
        fill_alpha=0.85,
    )  # fmt: skip


def _line(made: Any, over: OverTime, values: Floats, unit: str, color: str) -> Any:
    """Draw a line with its points, and return the points."""
    middle = _middle(over)
    source = ColumnDataSource({"x": middle, "y": values, "text": _said(over, values, unit)})
    made.line("x", "y", source=source, line_color=color, line_width=2)
    return made.scatter("x", "y", source=source, size=4 if len(middle) < 40 else 2, color=color)


def _middle(over: OverTime) -> Floats:
    return over.starts + over.width / 2


def _said(over: OverTime, values: Floats, unit: str) -> list[str]:
    return [
        f"{start:g} – {start + over.width:g} s: {value:,.4g} {unit}" if not isnan(value) else ""
        for start, value in zip(over.starts.tolist(), values.tolist(), strict=True)
    ]
