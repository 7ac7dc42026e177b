"""evalscope perf: `benchmark_summary.json`, and `benchmark_percentile.json` beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from otel_llm.errors import ConfigError
from otel_llm.load.foreign.tool import Figures, Meaning, Tool

__all__ = ["EVALSCOPE"]

_BESIDE: Final = "benchmark_percentile.json"
_ROWS: Final = {"p50": "50%", "p90": "90%", "p99": "99%"}
_COLUMNS: Final = {
    "time_to_first_token": ("TTFT (ms)", "Avg TTFT (ms)", 1e3),
    "inter_token_latency": ("ITL (ms)", "Avg ITL (ms)", 1e3),
    "time_per_output_token": ("TPOT (ms)", "Avg TPOT (ms)", 1e3),
    "request_latency": ("Latency (s)", "Avg Latency (s)", 1.0),
}


def _read(path: Path, found: Mapping[str, Any]) -> Figures:
    try:
        rows = {row["Percentiles"]: row for row in msgspec.json.decode(path.with_name(_BESIDE).read_bytes())}
    except (OSError, msgspec.MsgspecError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{_BESIDE} beside {path}", error, "give the summary in the folder that evalscope wrote"
        ) from None
    measures = {}
    for ours, (column, mean, scale) in _COLUMNS.items():
        at = {name: rows.get(row, {}).get(column) for name, row in _ROWS.items()} | {"mean": found.get(mean)}
        measures[ours] = {name: None if value is None else value / scale for name, value in at.items()}
    rate = found["Request Rate (req/s)"]
    return Figures(
        None,
        None,
        found["Success Requests"],
        found["Failed Requests"],
        found["Test Duration (s)"],
        measures,
        found["Req Throughput (req/s)"],
        found["Output Throughput (tok/s)"],
        {"parallel": found["Concurrency"]} if rate == -1 else {"rate": rate},
    )


EVALSCOPE: Final = Tool(
    "evalscope", "1.14.1, a result of it", lambda found: "Success Requests" in found, _read,
    "it says nothing of it but that a first burst weighs",
    (
        Meaning(
            "TTFT", "time_to_first_token", "to the first event with content, as ours; stamped once the event was parsed"
        ),
        Meaning(
            "ITL", "inter_token_latency",
            "gaps between events with content; ours counts a gap once for each token of an event, so the two differ "
            "where events hold several tokens",
        ),
        Meaning("TPOT", "time_per_output_token", "(latency − TTFT) / (tokens − 1); ours ends at the last token"),
        Meaning("Latency", "request_latency", "to the end of the stream"),
        Meaning("percentiles", None, "by nearest rank: of few requests, up to one value above ours"),
    ),
)  # fmt: skip
