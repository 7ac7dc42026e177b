"""The chart of a comparison: how far each figure's difference reaches."""

from collections.abc import Iterator, Sequence
from typing import Final

from bokeh.models import ColumnDataSource, NumeralTickFormatter
from bokeh.models.annotations import Span

from otel_llm.load.compare.comparison import Compared, Comparison
from otel_llm.load.compare.views import cells_of
from otel_llm.load.report.drawing import AMBER, BLUE, CRIMSON, GREY, TEAL, Chart, Key, chart, hover, new_figure

__all__ = ["charts_of_comparisons"]

_ROW: Final = 26
_COLORS: Final = {
    "worse": CRIMSON, "perhaps worse": AMBER, "better": TEAL, "perhaps better": BLUE, "no evidence": GREY,
    "too few values": GREY,
}  # fmt: skip


def charts_of_comparisons(comparisons: Sequence[Comparison]) -> Iterator[Chart]:
    """Yield a chart of each comparison that has a figure with a difference in shares."""
    for at, comparison in enumerate(comparisons):
        found = [each for each in comparison.compared if each.difference.share is not None and each.first.value]
        if found:
            yield _chart(at, comparison, found)


def _chart(at: int, comparison: Comparison, found: Sequence[Compared]) -> Chart:
    names = [each.figure for each in found]
    made = new_figure(len(found) * _ROW + 70, y_range=names[::-1])
    made.xaxis.formatter = NumeralTickFormatter(format="+0[.]0 %")
    made.xaxis.axis_label = "difference, share of the first run's figure"
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
        "y": names, "x": shares, "left": [low for low, _ in ends], "right": [high for _, high in ends],
        "color": colors, "text": [", ".join(cells_of(each)) for each in found],
    }  # fmt: skip
    source = ColumnDataSource(data)
    made.hbar("y", 0.22, "right", "left", source=source, fill_color="color", line_color=None, fill_alpha=0.7)
    points = made.scatter("x", "y", source=source, size=9, color="color")
    hover(made, "@text", renderers=[points])
    keys = [Key(color, verdict) for verdict, color in _COLORS.items() if any(c == color for c in colors)]
    shown = list({key.color: key for key in keys}.values())
    title = f"{comparison.second} against {comparison.first}"
    about = f"Differences of {len(found)} figures with their 95 % intervals, as shares of the first run's."
    return chart(f"differences-{at}", "differences", title, about, made, shown)
