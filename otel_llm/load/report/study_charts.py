"""The charts of a study: what the server does at each load."""

from collections.abc import Iterator, Mapping, Sequence
from math import nan
from typing import Any, Final

from bokeh.models import ColumnDataSource, FixedTicker, NumeralTickFormatter
from bokeh.models.annotations import BoxAnnotation, Span, TeeHead, Whisker

from otel_llm.load.report.drawing import AMBER, BLUE, GREY, TEAL, Chart, Key, chart, decade_ticks, hover, new_figure
from otel_llm.load.show.rows import milliseconds
from otel_llm.load.study.loads import Load
from otel_llm.load.study.result import StudyResult

__all__ = ["charts_of_study"]

_MARKERS: Final = {"overload": "x", "errors": "x", "breaks": "x", "void": "circle"}
_WIDE: Final = 8
"""By how many times the highest load, or latency, exceeds the lowest, where its axis is logarithmic."""
_MEASURES: Final = {
    "time_to_first_token": "Time to first token", "inter_token_latency": "Inter-token latency",
    "request_latency": "Request latency",
}  # fmt: skip
_PERCENTILES: Final = (("p50", BLUE), ("p99", AMBER))

Rows = Sequence[Mapping[str, Any]]


def charts_of_study(result: StudyResult) -> Iterator[Chart]:
    """Yield the charts of a study with points, in the order of the page."""
    rows = sorted(result.rows, key=lambda row: (row["repeat"], row["load"]))
    for name, title in _MEASURES.items():
        if any(row[name]["p50"] is not None for row in rows):
            yield _latency(result, rows, name, title)
    yield _throughput(result, rows)
    if any(row["output_token_throughput"] for row in rows):
        yield _tokens(result, rows)


def _begin(result: StudyResult, rows: Rows, **options: Any) -> Any:
    """Return a figure whose horizontal axis is the load, with the bracket of a search."""
    loads = sorted({row["load"] for row in rows})
    low, high = loads[0], loads[-1]
    wide = high >= low * _WIDE
    x_range = (low / 1.3, high * 1.3) if wide else (low - (high - low or low) * 0.08, high + (high - low or low) * 0.08)
    made = new_figure(x_axis_type="log" if wide else "linear", x_range=x_range, **options)
    made.xaxis.ticker = FixedTicker(ticks=loads if len(loads) <= 10 else loads[:: len(loads) // 8])
    made.xaxis.formatter = NumeralTickFormatter(format="0,0.[00]")
    made.xaxis.axis_label = "requests asked per second" if rows[0]["loop"] == "rate" else "requests in progress"
    if result.bracket is not None:
        _bracket(made, result.bracket)
    return made


def _bracket(made: Any, bracket: Mapping[str, Any]) -> None:
    holds, breaks = bracket["holds"], bracket["breaks"]
    if holds is not None and breaks is not None:
        made.add_layout(BoxAnnotation(left=holds, right=breaks, fill_color=TEAL, fill_alpha=0.18, line_color=None))
    for load in (holds, breaks):
        if load is not None:
            made.add_layout(Span(location=load, dimension="height", line_color=TEAL, line_dash=[4, 3], line_width=1))


def _keys(result: StudyResult, *keys: Key) -> list[Key]:
    return [*keys, *([Key(TEAL, "holds to the left, breaks to the right")] if result.bracket else [])]


def _latency(result: StudyResult, rows: Rows, name: str, title: str) -> Chart:
    drawn = [(each, color) for each, color in _PERCENTILES if any(row[name][each] is not None for row in rows)]
    shown = [(row[name][each], *row[name]["ci95"][each]) for row in rows for each, _ in drawn]
    values = [_ms(value) for ends in shown for value in ends if value]
    low, high = min(values), max(values)
    wide = high >= low * _WIDE
    made = _begin(result, rows, y_axis_type="log" if wide else "linear")
    made.yaxis.axis_label = "ms, logarithmic" if wide else "ms"
    made.y_range.start, made.y_range.end = (low / 1.2, high * 1.2) if wide else (0, high * 1.08)
    if wide:
        made.yaxis.ticker = decade_ticks(low / 1.2, high * 1.2)
    for percentile, color in drawn:
        texts = [f"{_load(row)}: {percentile} {_shown(row[name], percentile)}, {_came_of(row)}" for row in rows]
        _series(made, rows, [_ms(row[name][percentile]) for row in rows], color, texts)
        _intervals(made, rows, name, percentile, color)
    about = f"{title} against the load: {' and '.join(each for each, _ in drawn)} with their 95 % intervals."
    return chart(name, "curve", title, about, made, _keys(result, *(Key(color, each) for each, color in drawn)))


def _throughput(result: StudyResult, rows: Rows) -> Chart:
    made = _begin(result, rows)
    made.y_range.start = 0
    keys = []
    series = [("request_throughput", "answered", BLUE), ("goodput", "kept the objective", TEAL)]
    if rows[0]["loop"] == "rate":
        series.insert(0, ("asked", "asked", GREY))
    for name, label, color in series:
        if any(row[name] for row in rows):
            values = [row[name] or nan for row in rows]
            texts = [f"{_load(row)}: {value:,.4g} {label} a second" for row, value in zip(rows, values, strict=True)]
            _series(made, rows, values, color, texts, dash="dashed" if name == "asked" else "solid")
            keys.append(Key(color, label))
    made.yaxis.axis_label = "requests a second"
    about = "Requests that were asked, answered and answered within the objective, per second, against the load."
    return chart("throughput", "throughput", "Requests a second", about, made, _keys(result, *keys))


def _tokens(result: StudyResult, rows: Rows) -> Chart:
    made = _begin(result, rows)
    made.y_range.start = 0
    values = [row["output_token_throughput"] or nan for row in rows]
    texts = [f"{_load(row)}: {value:,.4g} tokens a second" for row, value in zip(rows, values, strict=True)]
    _series(made, rows, values, BLUE, texts)
    made.yaxis.axis_label = "tokens a second"
    about = "Output tokens per second against the load."
    return chart("tokens", "throughput", "Output tokens a second", about, made, _keys(result))


def _series(
    made: Any, rows: Rows, values: Sequence[float], color: str, texts: Sequence[str], dash: str = "solid"
) -> None:
    """Draw a line for each repeat, and each point by what came of it."""
    repeats = sorted({row["repeat"] for row in rows})
    for repeat in repeats:
        mine = [at for at, row in enumerate(rows) if row["repeat"] == repeat]
        made.line(
            [rows[at]["load"] for at in mine],
            [values[at] for at in mine],
            line_color=color,
            line_width=2,
            line_dash=dash,
        )
    shown = []
    for kind in ("good", *dict.fromkeys(_MARKERS.values())):
        ring = kind == "circle"
        mine = [at for at, row in enumerate(rows) if _MARKERS.get(_came_of(row), "good") == kind]
        loads, ys, said = ([each[at] for at in mine] for each in ([row["load"] for row in rows], values, texts))
        data = {"x": loads, "y": ys, "text": said}
        shown.append(
            made.scatter(
                "x", "y", source=ColumnDataSource(data), marker="circle" if kind == "good" else kind, size=8,
                line_color=color, line_width=2, fill_color=None if ring else color,
            )
        )  # fmt: skip
    hover(made, "@text", renderers=shown)


def _intervals(made: Any, rows: Rows, name: str, percentile: str, color: str) -> None:
    known = [(row["load"], *row[name]["ci95"][percentile]) for row in rows if None not in row[name]["ci95"][percentile]]
    if not known:
        return
    x, low, high = zip(*known, strict=True)
    data = {"x": x, "low": [_ms(each) for each in low], "high": [_ms(each) for each in high]}
    options: dict[str, Any] = {f"{end}_head": TeeHead(line_color=color, size=8) for end in ("upper", "lower")}
    options |= {"base": "x", "lower": "low", "upper": "high", "line_color": color, "line_width": 2}
    made.add_layout(Whisker(source=ColumnDataSource(data), **options))


def _came_of(row: Mapping[str, Any]) -> str:
    return str(row.get("outcome", row["verdict"]))


def _load(row: Mapping[str, Any]) -> str:
    return str(Load(row["loop"], row["load"]))


def _ms(seconds: float | None) -> float:
    return nan if seconds is None else seconds * 1e3


def _shown(measure: Mapping[str, Any], percentile: str) -> str:
    value = measure[percentile]
    return "none" if value is None else f"{milliseconds(value)} ms"
