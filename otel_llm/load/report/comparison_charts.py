"""The chart of a comparison: how far each figure's difference reaches."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from bokeh.models import ColumnDataSource, FixedTicker, NumeralTickFormatter
from bokeh.models.annotations import Span

from otel_llm.load.compare.comparison import Compared, Comparison
from otel_llm.load.report.drawing import AMBER, BLUE, CRIMSON, GREY, TEAL, Chart, Key, chart, hover, new_figure

__all__ = ["charts_of_comparisons"]

_ROW: Final = 26
_COLORS: Final = {
    "worse": CRIMSON, "perhaps worse": AMBER, "better": TEAL, "perhaps better": BLUE, "no evidence": GREY,
    "too few values": GREY, "no interval": GREY,
}  # fmt: skip


Cells = Callable[[Compared], Sequence[str]]


def charts_of_comparisons(comparisons: Sequence[Comparison], cells: Cells) -> Iterator[Chart]:
    """Yield a chart of each comparison that has a figure with a difference in shares. cells: of a figure, as text"""
    for at, comparison in enumerate(comparisons):
        found = [each for each in comparison.compared if each.difference.share is not None and each.first.value]
        if found:
            yield _chart(at, comparison, found, cells)


def _chart(at: int, comparison: Comparison, found: Sequence[Compared], cells: Cells) -> Chart:
    rows = range(len(found))
    made = new_figure(len(found) * _ROW + 70, y_range=(len(found) - 0.5, -0.5))
    made.yaxis.ticker = FixedTicker(ticks=list(rows))
    made.yaxis.major_label_overrides = {row: each.figure for row, each in zip(rows, found, strict=True)}
    made.xaxis.formatter = NumeralTickFormatter(format="+0[.]0 %")
    made.xaxis.axis_label = "share of the first run's figure"
    made.xaxis.ticker.desired_num_ticks = 3
    made.add_layout(Span(location=0, dimension="height", line_color=GREY, line_width=1))
    colors = [_COLORS[each.difference.verdict] for each in found]
    shares = [each.difference.share for each in found]
    ends = [
        (low / each.first.value, high / each.first.value)
        if (low := each.difference.low) is not None and (high := each.difference.high) is not None
        else (each.difference.share, each.difference.share)
        for each in found
    ]
    data = {
        "y": list(rows), "x": shares, "left": [low for low, _ in ends], "right": [high for _, high in ends],
        "color": colors, "text": [", ".join(cells(each)) for each in found],
    }  # fmt: skip
    source = ColumnDataSource(data)
    made.hbar("y", 0.22, "right", "left", source=source, fill_color="color", line_color=None, fill_alpha=0.7)
    points = made.scatter("x", "y", source=source, size=9, color="color")
    hover(made, "@text", renderers=[points])
    said = dict.fromkeys(each.difference.verdict for each in found)
    shown = [Key(color, ", ".join(v for v in said if _COLORS[v] == color)) for color in dict.fromkeys(colors)]
    about = f"Differences of {len(found)} figures with their 95 % intervals, as shares of the first run's."
    return chart(f"differences-{at}", "differences", comparison.title, about, made, shown)
