"""The columns of a table of requests, and of one of the points of a study. Times are seconds."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from otel_llm.sinks.stored_run import read_columns

__all__ = ["POINT", "REQUEST", "Column", "point_of", "requests_of"]

_PART: Final = 10_000


class Column(NamedTuple):
    """A column. about: what stands in it, with its unit"""

    name: str
    type: Literal["integer", "real", "text", "boolean"]
    about: str


REQUEST: Final = (
    Column("request_index", "integer", "its place in the plan, from 0"),
    Column("outcome", "text", "complete, error, timeout, cancelled or closed_early"),
    Column("error_type", "text", "what went wrong, of a request that failed"),
    Column("status", "integer", "HTTP status"),
    Column("intended_time", "real", "when it was meant to be sent, s; null in a closed loop"),
    Column("start_time", "real", "when it was sent, s; null of one that was not"),
    Column("completed_time", "real", "when it ended, s"),
    Column("time_to_first_token", "real", "s, from start_time"),
    Column("latency", "real", "s, from start_time to completed_time"),
    Column("time_per_output_token", "real", "s, mean over the tokens after the first"),
    Column("prompt_tokens", "integer", "input tokens"),
    Column("completion_tokens", "integer", "output tokens"),
    Column("token_source", "text", "provider, counted or chunks"),
    Column("trace_id", "text", "W3C trace id, in hexadecimal"),
)
"""Of the table `result` of a run file, under its names. Moments are of one clock that has no date."""


def requests_of(path: Path, run_id: str) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the requests of a run, many at a time, in the order in which they ended: a value for each of `REQUEST`."""
    yield from read_columns(path, ", ".join(column.name for column in REQUEST), "run_id = ?", (run_id,), _PART)


_MEASURES: Final = {
    "time_to_first_token": "time to first token, s", "inter_token_latency": "inter-token latency, s",
    "request_latency": "request latency, s",
}  # fmt: skip


def _of_interval(name: str, about: str) -> Iterator[Column]:
    yield Column(name, "real", about)
    yield Column(f"{name}_low", "real", "lower end of its 95 % interval")
    yield Column(f"{name}_high", "real", "upper end of its 95 % interval")


POINT: Final = (
    Column("number", "integer", "its place in the study, from 1"),
    Column("loop", "text", "rate or parallel"),
    Column("load", "real", "requests asked per second, or requests in progress"),
    Column("repeat", "integer", "from 0"),
    Column("run_id", "text", "of its run"),
    Column("verdict", "text", "ok, missed, errors, overload or void"),
    Column("outcome", "text", "of a search: holds, breaks, unsure or void"),
    Column("requests", "integer", "requests that were sent"),
    Column("duration", "real", "s"),
    Column("error_rate", "real", "failed of those that succeeded or failed, 0 to 1"),
    Column("asked", "real", "requests asked per second; null in a closed loop"),
    Column("achieved", "real", "requests answered per second of asking"),
    *_of_interval("request_throughput", "answers per second"),
    *_of_interval("output_token_throughput", "output tokens per second"),
    *(
        column
        for measure, about in _MEASURES.items()
        for name in ("p50", "p99")
        for column in _of_interval(f"{measure}_{name}", f"{name} of {about}")
    ),
    Column("goodput", "real", "answers per second that keep the objective"),
    Column("slo_met", "boolean", "whether the objective was met"),
    *_of_interval("backlog_growth", "by how many per second requests without an answer grew"),
)
"""Of a point of a study. In an open loop, latencies count from when a request was meant to be sent."""


def point_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a value for each of `POINT`. row: of a study's rows"""
    flat = dict(row)
    for name in ("request_throughput", "output_token_throughput"):
        flat |= _ends(name, row["throughput_ci95"].get(name))
    for measure in _MEASURES:
        for name in ("p50", "p99"):
            flat[f"{measure}_{name}"] = row[measure][name]
            flat |= _ends(f"{measure}_{name}", row[measure]["ci95"][name])
    flat |= _ends("backlog_growth", row["backlog_growth_ci95"])
    return tuple(flat.get(column.name) for column in POINT)


def _ends(name: str, interval: Sequence[float | None] | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}
