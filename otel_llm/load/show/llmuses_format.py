"""The log line and the summary block of `llmuses perf`, label for label, for programs that parse them.

Under its labels stand the figures that `llmuses perf` defined: time per output token is the wall time divided by all
output tokens, and percentiles follow its floor rule. `report` prints the standard measures in a table of their own.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from otel_llm.load.figures.stats import Stats

__all__ = ["fields_of", "floor_percentile", "is_wanted", "log_fields", "log_line", "summary_block"]

_PERCENTILES: Final = (50, 66, 75, 80, 90, 95, 98, 99)
_ENOUGH: Final = 8


def is_wanted(arguments: Mapping[str, Any]) -> bool:
    """Return whether a run with these options prints it: as --compat says, or with an option that only llmuses has."""
    if (asked := arguments.get("compat")) is not None:
        return bool(asked == "llmuses")
    return any(arguments.get(name) is not None for name in ("parser", "log_every_n_query"))


def log_fields(stats: Stats, concurrency: int) -> dict[str, float]:
    """Return the 14 keys of the log line: averages so far, -1 while nothing has succeeded."""
    took, good = stats.duration_s, stats.succeeded
    return {
        "Time": round(took, 3),
        "concurrency": concurrency,
        "completed": stats.ended,
        "succeed": good,
        "failed": stats.failed,
        "qps": _round(good / took if took else None),
        "latency": _round(_mean(stats, "request_latency")),
        "time to first token": _round(_mean(stats, "time_to_first_token")),
        "throughput(output tokens per second)": _round(stats.output_tokens / took if took and good else None),
        "time per output token": _round(took / stats.output_tokens if stats.output_tokens else None, 5),
        "package per request": _round(_mean(stats, "chunks")),
        "time per package": _round(_mean(stats, "inter_chunk_latency")),
        "input tokens per request": _round(stats.input_tokens / good if good else None),
        "output tokens per request": _round(stats.output_tokens / good if good else None),
    }


def log_line(fields: dict[str, float]) -> str:
    """Return the fields as `llmuses perf` logs them."""
    return ", ".join(f"{key}: {value}" for key, value in fields.items())


def fields_of(line: str) -> dict[str, float]:
    """Return the fields of such a line, whatever stands before them; none of another line."""
    _, label, rest = line.partition("Time: ")
    if not label:
        return {}
    return {key: float(value) for key, value in (each.rsplit(": ", 1) for each in f"Time: {rest}".split(", "))}


def summary_block(stats: Stats, concurrency: int) -> str:
    """Return the summary of `llmuses perf`: plain lines ` LABEL: value`, in its order."""
    took, good = stats.duration_s, stats.succeeded
    lines = [
        "Benchmarking summary: ",
        f" Time taken for tests: {took:.3f} seconds",
        f" Expected number of requests: {stats.planned}",
        f" Number of concurrency: {concurrency}",
        f" Total requests: {stats.ended}",
        f" Succeed requests: {good}",
        f" Failed requests: {stats.failed}",
        f" Average QPS: {_show(good / took if took else None)}",
        f" Average latency: {_show(_mean(stats, 'request_latency'))}",
        f" Throughput(average output tokens per second): {_show(stats.output_tokens / took if took else None)}",
        f" Average time to first token: {_show(_mean(stats, 'time_to_first_token'))}",
        f" Average input tokens per request: {_show(stats.input_tokens / good if good else None)}",
        f" Average output tokens per request: {_show(stats.output_tokens / good if good else None)}",
        f" Average time per output token: {_show(took / stats.output_tokens if stats.output_tokens else None, 5)}",
        f" Average package per request: {_show(_mean(stats, 'chunks'))}",
        f" Average package latency: {_show(_mean(stats, 'inter_chunk_latency'))}",
    ]
    if good <= _ENOUGH:
        return "\n".join([*lines, " Too little data to calculate quantiles!"])
    for label, name in (("time to first token", "time_to_first_token"), ("request latency", "request_latency")):
        ordered = np.sort(stats.values[name].all()).tolist()
        lines.append(f" Percentile of {label}: ")
        lines += [f"     p{q}: {_show(floor_percentile(ordered, q), 4)}" for q in _PERCENTILES]
    return "\n".join(lines)


def floor_percentile(ordered: Sequence[float], q: int) -> float | None:
    """Return `ordered[int(n * q / 100)]`, as `llmuses perf` does: of ten values p50 is the sixth, p90 the largest."""
    return ordered[min(int(len(ordered) * q / 100), len(ordered) - 1)] if ordered else None


def _mean(stats: Stats, name: str) -> float | None:
    return stats.values[name].mean


def _round(value: float | None, digits: int = 3) -> float:
    return -1 if value is None else round(value, digits)


def _show(value: float | None, digits: int = 3) -> str:
    return "-1" if value is None else f"{value:.{digits}f}"
