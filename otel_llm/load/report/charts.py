"""The charts of a run. What they show is in the model, exactly."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from bokeh.models import ColumnDataSource, NumeralTickFormatter
from bokeh.models.annotations import Span

from otel_llm.load.report.drawing import (
    AMBER,
    BLUE,
    CRIMSON,
    GREY,
    Chart,
    Key,
    chart,
    decade_ticks,
    hover,
    label,
    new_figure,
)
from otel_llm.load.report.model import Distribution, RunReport, TimelineRow
from otel_llm.load.report.over_time_charts import over_time_charts
from otel_llm.load.show.rows import milliseconds
from otel_llm.visible import on_one_line

__all__ = ["charts_of"]

_PARTS: Final = 4
"""Neighbouring parts of a distribution that a bar of the histogram stands for; the curve shows each of them."""
_NAMES: Final = {"time_to_first_token": "Time to first token", "inter_token_latency": "Inter-token latency"}
_ROW: Final = 3
_TALLEST: Final = 620


def charts_of(report: RunReport) -> Iterator[Chart]:
    """Yield the charts of a run, in the order of the page."""
    for distribution in report.distributions:
        yield _histogram(distribution)
        yield _curve(distribution)
    if report.over_time is not None:
        yield from over_time_charts(report.over_time)
    if report.timeline:
        yield _timeline(report.timeline, report.figures["requests"]["sent"])


def _ms_axis(distribution: Distribution, **options: Any) -> Any:
    made = new_figure(x_axis_type="log" if distribution.logarithmic else "linear", **options)
    made.xaxis.axis_label = "ms, logarithmic" if distribution.logarithmic else "ms"
    made.xaxis.formatter = NumeralTickFormatter(format="0,0.[00]")
    low, high = distribution.edges[0] * 1e3, distribution.edges[-1] * 1e3
    made.x_range.start, made.x_range.end = float(low), float(high)
    if distribution.logarithmic:
        made.xaxis.ticker = decade_ticks(low, high)
    return made


def _histogram(fine: Distribution) -> Chart:
    distribution = fine.merged(_PARTS)
    top = float(distribution.counts.max(initial=1))
    made = _ms_axis(distribution, y_range=(0, top * 1.3))
    edges = distribution.edges * 1e3
    data = {
        "left": edges[:-1], "right": edges[1:], "top": distribution.counts,
        "text": [
            f"{milliseconds(low)} – {milliseconds(high)} ms: {count:,}" for low, high, count in
            zip(distribution.edges[:-1], distribution.edges[1:], distribution.counts.tolist(), strict=True)
        ],
    }  # fmt: skip
    made.quad(
        "left", "right", "top", 0, source=ColumnDataSource(data), fill_color=BLUE, fill_alpha=0.85, line_color=None
    )
    hover(made, "@text", mode="vline")
    _marks(made, distribution, [top * (1.24 - 0.11 * each) for each in range(len(distribution.at))])
    made.yaxis.axis_label = "requests" if distribution.measure == "time_to_first_token" else "tokens"
    marked = ", ".join(f"{name} {milliseconds(value)} ms" for name, value in distribution.at.items())
    name = _NAMES[distribution.measure]
    beyond = f"; {fine.beyond:,} of {fine.total:,} lie beyond the right edge" if fine.beyond else ""
    about = f"Histogram of {name.lower()}: {marked}{beyond}."
    return chart(f"{distribution.measure}-histogram", "distributions", name, about, made)


def _curve(distribution: Distribution) -> Chart:
    made = _ms_axis(distribution, y_range=(0, 1.02))
    data = {
        "x": distribution.edges * 1e3, "y": distribution.shares,
        "text": [
            f"{share:.2%} within {milliseconds(edge)} ms" for edge, share in
            zip(distribution.edges.tolist(), distribution.shares.tolist(), strict=True)
        ],
    }  # fmt: skip
    source = ColumnDataSource(data)
    made.varea("x", 0, "y", source=source, fill_color=BLUE, fill_alpha=0.12)
    line = made.line("x", "y", source=source, line_color=BLUE, line_width=2)
    hover(made, "@text", renderers=[line], mode="vline")
    made.yaxis.formatter = NumeralTickFormatter(format="0 %")
    made.yaxis.axis_label = "share at or below"
    _marks(made, distribution, [0.05 + 0.11 * each for each in range(len(distribution.at))])
    name = _NAMES[distribution.measure]
    about = f"Cumulative distribution of {name.lower()}: which share of values is at or below each value."
    return chart(f"{distribution.measure}-cumulative", "distributions", f"{name}, cumulative", about, made)


def _marks(made: Any, distribution: Distribution, heights: Sequence[float]) -> None:
    """Draw a line at each percentile, with its name and value."""
    for height, (name, value) in zip(heights, distribution.at.items(), strict=True):
        at = value * 1e3
        made.add_layout(Span(location=at, dimension="height", line_color=GREY, line_dash=[4, 3], line_width=1))
        aside, align = (-5, "right") if _share_of_axis(distribution, value) > 0.6 else (5, "left")
        label(made, at, height, f"{name} {milliseconds(value)}", x_offset=aside, text_align=align)


def _share_of_axis(distribution: Distribution, value: float) -> float:
    low, high = distribution.edges[0], distribution.edges[-1]
    if distribution.logarithmic:
        low, high, value = np.log(low), np.log(high), np.log(value)
    return float((value - low) / (high - low))


def _timeline(rows: Sequence[TimelineRow], sent: int) -> Chart:
    height = min(max(len(rows) * _ROW + 60, 150), _TALLEST)
    low, high = min(row.intended or row.sent for row in rows), max(row.ended for row in rows)
    room = (high - low) * 0.01
    made = new_figure(height, y_range=(len(rows), -1), x_range=(low - room, high + room))
    made.yaxis.visible = False
    made.ygrid.grid_line_color = None
    made.xaxis.axis_label = "seconds"
    bars = {color: _Bars() for color in (GREY, AMBER, BLUE, CRIMSON)}
    for at, row in enumerate(rows):
        text = _of_request(row)
        if row.intended is not None:
            bars[GREY].add(at, row.intended, row.sent, text)
        if row.outcome != "complete":
            bars[GREY if row.outcome == "cancelled" else CRIMSON].add(at, row.sent, row.ended, text)
        else:
            bars[AMBER].add(at, row.sent, row.first_token or row.ended, text)
            if row.first_token is not None:
                bars[BLUE].add(at, row.first_token, row.ended, text)
    for color, found in bars.items():
        source = ColumnDataSource(found.data)
        made.hbar("y", 0.8, "right", "left", source=source, fill_color=color, line_color=None)
        if color == CRIMSON:
            made.scatter("right", "y", source=source, marker="x", color=color, size=6, line_width=2)
    hover(made, "@text")
    keys = [
        Key(GREY, "waiting in the client, or cut off"), Key(AMBER, "until the first token"), Key(BLUE, "tokens"),
        Key(CRIMSON, "failed (×)"),
    ]  # fmt: skip
    about = f"{len(rows)} requests in the order in which they were sent: from sent to first token, and to the end."
    shown = [key for key, found in zip(keys, bars.values(), strict=True) if found.data["y"]]
    title = f"{len(rows):,} of {sent:,} requests, about the slowest" if len(rows) < sent else "Every request"
    return chart("timeline", "timeline", title, about, made, shown)


class _Bars:
    """Horizontal bars of one colour."""

    def __init__(self) -> None:
        self.data: dict[str, list[Any]] = {"y": [], "left": [], "right": [], "text": []}

    def add(self, y: int, left: float, right: float, text: str) -> None:
        for name, value in zip(self.data, (y, left, right, text), strict=True):
            self.data[name].append(value)


def _of_request(row: TimelineRow) -> str:
    parts = [f"request {row.index}: sent at {row.sent:.3f} s"]
    if row.first_token is not None:
        parts.append(f"first token after {milliseconds(row.first_token - row.sent)} ms")
    how = "" if row.outcome == "complete" else f" ({on_one_line(row.error or row.outcome)})"
    return ", ".join([*parts, f"ended after {milliseconds(row.ended - row.sent)} ms{how}"])
