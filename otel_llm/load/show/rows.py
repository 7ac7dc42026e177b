"""The table of a report, as text: every view that shows it shows these very cells."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from otel_llm.percentiles import IN_TABLE, percentile_name

__all__ = ["COLUMNS", "Row", "cell_text", "interval_text", "milliseconds", "rows_of"]

COLUMNS: Final = ("mean", *map(percentile_name, IN_TABLE), "max")
"""The figures of a row, by their names in the report."""

_SHOWN: Final = (
    ("time_to_first_token", "time to first token", "ms"),
    ("inter_token_latency", "inter-token latency", "ms"),
    ("time_per_output_token", "time per output token", "ms"),
    ("request_latency", "request latency", "ms"),
    ("corrected_time_to_first_token", "TTFT from intended", "ms"),
    ("corrected_request_latency", "latency from intended", "ms"),
    ("queue_delay", "queue delay", "ms"),
    ("connect_time", "connect time", "ms"),
    ("time_to_first_chunk", "time to first chunk", "ms"),
    ("inter_chunk_latency", "inter-chunk latency", "ms"),
    ("time_to_first_audio", "time to first audio", "ms"),
    ("time_to_first_image", "time to first image", "ms"),
    ("audio_duration", "audio duration", "ms"),
    ("real_time_factor", "real-time factor", "×"),
    ("time_to_stop", "time to stop", "ms"),
    ("output_tokens", "output tokens", ""),
    ("input_tokens", "input tokens", ""),
)


class Row(NamedTuple):
    """A measure that a run has values of.

    unit:     `ms`, "" for a count, "×" for a ratio
    values:   how many there are
    cells:    the text of each of `COLUMNS`
    doubted:  those of them that there are too few values for
    interval: the 95 % interval of p99; None where the values give none
    """

    measure: str
    label: str
    unit: str
    values: str
    cells: Mapping[str, str]
    doubted: frozenset[str]
    interval: str | None

    @property
    def texts(self) -> tuple[str, ...]:
        """Its label, how many values, and each of `COLUMNS`, with an asterisk where it is doubted."""
        cells = (f"{self.cells[each]}{'*' * (each in self.doubted)}" for each in COLUMNS)
        return self.label, self.values, *cells


def rows_of(report: Mapping[str, Any]) -> Iterator[Row]:
    """Yield a row for each measure that the run has values of, the most wanted first."""
    for name, label, unit in _SHOWN:
        row = report["measures"][name]
        if row["count"]:
            cells = {column: cell_text(row[column], unit) for column in COLUMNS}
            doubted = frozenset(row["too_few_for"]) & cells.keys()
            yield Row(name, label, unit, f"{row['count']:,}", cells, doubted, interval_text(row, "p99", unit))


def cell_text(value: float | None, unit: str) -> str:
    """Return a figure as text. None is a percentile among requests that nobody answered, or a count that is not known.

    >>> cell_text(0.0123, "ms"), cell_text(None, "ms"), cell_text(1234, "")
    ('12.30', '∞', '1,234.0')
    """
    if value is None:
        return "∞" if unit else "-"
    return milliseconds(value) if unit == "ms" else f"{value:.3f}" if unit else f"{value:,.1f}"


def interval_text(row: Mapping[str, Any], name: str, unit: str) -> str | None:
    """Return the 95 % interval of a percentile of a measure; None where there are too few values for it."""
    low, high = row["ci95"][name]
    return None if high is None else f"{cell_text(low, unit)} – {cell_text(high, unit)}"


def milliseconds(seconds: float) -> str:
    """Return seconds as milliseconds, with no more digits than are meaningful.

    >>> milliseconds(0.0123), milliseconds(0.4567), milliseconds(12.3456)
    ('12.30', '456.7', '12,346')
    """
    ms = seconds * 1e3
    return f"{ms:,.0f}" if ms >= 1000 else f"{ms:.1f}" if ms >= 100 else f"{ms:.2f}"
