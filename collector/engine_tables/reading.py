"""One /metrics page, read with an engine's table: its series under the common names, added up as the Collector does.

Only what a table lists is parsed, so that a page of a thousand lines costs little to whoever reads it every second.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from otel_llm_collector.engine_tables.table import EngineTable, Metric

__all__ = ["Buckets", "Reading", "Sample", "read_page", "recognise", "samples_of"]

_SAMPLE: Final = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{((?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*)\})?[ \t]+(\S+)")
_LABEL: Final = re.compile(r"([a-zA-Z_]\w*)\s*=\s*\"((?:[^\"\\]|\\.)*)\"")
_ESCAPED: Final = re.compile(r"\\(.)")
_SUFFIXES: Final = ("_bucket", "_sum", "_count")
_WEB_SERVER: Final = "http_"
_REQUESTS: Final = ("server_requests", "server_requests_failed")


class Sample(NamedTuple):
    """One line of a page."""

    name: str
    labels: Mapping[str, str]
    value: float


class Buckets(msgspec.Struct):
    """A histogram: `counts[i]` values are at most `edges[i]` seconds or tokens; `count` are all, `sum` together."""

    edges: list[float]
    counts: list[float]
    count: float
    sum: float


class Reading(msgspec.Struct):
    """What an engine says at one moment, by keys of `otel_llm.conventions.INSTRUMENTS`.

    gauges, counters: of several series the sum; of shares the largest
    histograms:       likewise, all series added up
    failed:           requests that failed since the engine's start, by error.type; `counters` has them too
    reasons:          requests that ended since the engine's start, by finish reason, where the engine tells it
    """

    gauges: dict[str, float] = {}
    counters: dict[str, float] = {}
    histograms: dict[str, Buckets] = {}
    failed: dict[str, float] = {}
    reasons: dict[str, float] = {}


def samples_of(text: str, names: Collection[str] | None = None) -> Iterator[Sample]:
    """Yield the samples of a page in Prometheus' text format, those of `names` alone where they are given.

    A line that is none is left out: what a page says beside its samples is not this reader's to judge.
    """
    for line in text.splitlines():
        if names is not None and line[: _end_of_name(line)] not in names:
            continue
        if (match := _SAMPLE.match(line)) is None:
            continue
        try:
            value = float(match[3])
        except ValueError:
            continue
        yield Sample(match[1], {name: _plain(said) for name, said in _LABEL.findall(match[2] or "")}, value)


def _end_of_name(line: str) -> int:
    brace, space = line.find("{"), line.find(" ")
    return min(brace, space) if 0 <= brace < space else space


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda match: "\n" if match[1] == "n" else match[1], text) if "\\" in text else text


def recognise(text: str, tables: Sequence[EngineTable]) -> EngineTable | None:
    """Return the table that a page has most metrics of; None where it has none of any.

    What a web server says of itself is on the pages of many that are in no table, and makes a page nobody's.
    """
    there = {line[: _end_of_name(line)] for line in text.splitlines() if line and line[0] != "#"}
    there = {name for name in there if not name.startswith(_WEB_SERVER)}
    found = {table.name: sum(not there.isdisjoint(_series(metric)) for metric in table.metrics) for table in tables}
    best = max(tables, key=lambda table: found[table.name])
    return best if found[best.name] else None


def _series(metric: Metric) -> tuple[str, ...]:
    """Return the names of the lines of a metric that is listed."""
    if not metric.to:
        return ()
    return tuple(metric.name + suffix for suffix in _SUFFIXES) if metric.type == "histogram" else (metric.name,)


def read_page(text: str, table: EngineTable, *, histograms: bool = True) -> Reading:
    """Return what a page says. histograms: whether they are read too, which takes longest"""
    metrics = [metric for metric in table.metrics if metric.to and (histograms or metric.type != "histogram")]
    wanted = {name: metric for metric in metrics for name in _series(metric)}
    lines: dict[str, list[Sample]] = {}
    for sample in samples_of(text, wanted.keys()):
        metric = wanted[sample.name]
        if all(re.fullmatch(pattern, sample.labels.get(label, "")) for label, pattern in metric.only.items()):
            lines.setdefault(metric.name, []).append(sample)
    reading = Reading({}, {}, {}, {}, {})
    for metric in metrics:
        if samples := lines.get(metric.name):
            _add(reading, metric, samples, table)
    return reading


def _add(reading: Reading, metric: Metric, samples: Sequence[Sample], table: EngineTable) -> None:
    key = metric.to
    if metric.type == "histogram":
        reading.histograms.setdefault(key, _buckets(metric, samples))
    elif metric.type == "gauge":
        values = _without_copies(samples, table.copies)
        share = metric.instrument.unit == "1"
        value = (max if share else sum)(values) * metric.scale
        before = reading.gauges.get(key, 0.0)
        reading.gauges[key] = max(before, value) if share else before + value
    else:
        reading.counters[key] = reading.counters.get(key, 0.0) + sum(each.value for each in samples) * metric.scale
        if key in _REQUESTS:
            _add_ends(reading, metric, samples, table)


def _without_copies(samples: Sequence[Sample], copies: Sequence[str]) -> list[float]:
    """Return the values, one for ranks that all tell the same."""
    apart: dict[tuple[tuple[str, str], ...], float] = {}
    for sample in samples:
        own = tuple(sorted((name, said) for name, said in sample.labels.items() if name not in copies))
        apart[own] = max(apart.get(own, sample.value), sample.value)
    return list(apart.values())


def _add_ends(reading: Reading, metric: Metric, samples: Sequence[Sample], table: EngineTable) -> None:
    """Add how requests ended: by error.type, and by finish reason."""
    reasons, errors = ([label for label, key in table.labels.items() if key == of] for of in ("finish_reason", "error"))
    for sample in samples:
        if error := _error(metric, sample.labels, errors):
            reading.failed[error] = reading.failed.get(error, 0.0) + sample.value
        for reason in {sample.labels.get(label, "") for label in reasons} - {""}:
            reading.reasons[reason] = reading.reasons.get(reason, 0.0) + sample.value


def _error(metric: Metric, labels: Mapping[str, str], errors: Sequence[str]) -> str:
    """Return the error.type of a series, "" for none."""
    when = [(label, ".+") for label in errors] + list(metric.error_when.items())
    said = (labels[label] for label, pattern in when if re.fullmatch(pattern, labels.get(label, "")))
    error = next(said, metric.error)
    return "_OTHER" if error == "None" else error


def _buckets(metric: Metric, samples: Sequence[Sample]) -> Buckets:
    """Return a histogram of all series. Of series with different edges those that all of them have."""
    counts: dict[float, float] = {}
    series: dict[float, int] = {}
    total, count = 0.0, 0.0
    for sample in samples:
        if sample.name.endswith("_bucket"):
            edge = float(sample.labels.get("le", "nan")) * metric.scale
            counts[edge] = counts.get(edge, 0.0) + sample.value
            series[edge] = series.get(edge, 0) + 1
        elif sample.name.endswith("_sum"):
            total += sample.value * metric.scale
        else:
            count += sample.value
    most = max(series.values(), default=0)
    edges = sorted(edge for edge, times in series.items() if times == most and edge < float("inf"))
    return Buckets(edges, [counts[edge] for edge in edges], count, total)
