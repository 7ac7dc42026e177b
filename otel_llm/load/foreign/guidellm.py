"""guidellm: `benchmarks.json`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from otel_llm.errors import ConfigError
from otel_llm.load.foreign.tool import Figures, Meaning, Tool

__all__ = ["GUIDELLM"]

_MEASURES: Final = {
    "time_to_first_token": ("time_to_first_token_ms", 1e3), "time_per_output_token": ("inter_token_latency_ms", 1e3),
    "request_latency": ("request_latency", 1.0),
}  # fmt: skip


def _read(path: Path, found: Mapping[str, Any]) -> Figures:
    runs = found["benchmarks"]
    if len(runs) != 1:
        raise ConfigError("a result of one benchmark", f"{path} with {len(runs)}", "run guidellm at one load")
    run = runs[0]
    metrics, totals = run["metrics"], run["metrics"]["request_totals"]
    measures = {}
    for ours, (theirs, scale) in _MEASURES.items():
        good = metrics[theirs]["successful"]
        if good.get("count", 1):
            at = {name: good["percentiles"][name] for name in ("p50", "p90", "p99")} | {"mean": good["mean"]}
            measures[ours] = {name: value / scale for name, value in at.items()}
    start, end = run.get("start_time"), run.get("end_time")
    return Figures(
        None,
        None if start is None else datetime.fromtimestamp(start, UTC).isoformat(),
        totals["successful"],
        totals["errored"],
        None if start is None or end is None else end - start,
        measures,
        metrics["requests_per_second"]["successful"]["mean"],
        metrics["output_tokens_per_second"]["successful"]["mean"],
        {},
    )


GUIDELLM: Final = Tool(
    "guidellm", "0.8.1, a result of it",
    lambda found: isinstance(found.get("benchmarks"), list) and all("metrics" in each for each in found["benchmarks"]),
    _read, "request_dispatch_delay says how late it sent at a given rate; it says nothing of how late it received",
    (
        Meaning(
            "time_to_first_token_ms", "time_to_first_token",
            "to the first event that it takes for a token; by the system's clock, which may be set meanwhile",
        ),
        Meaning(
            "inter_token_latency_ms", "time_per_output_token",
            "one mean for each request, (last − first token) / (tokens − 1), as ours; it keeps no gaps",
        ),
        Meaning("time_per_output_token_ms", None, "the first token is in it: (last token − start) / tokens"),
        Meaning("request_latency", "request_latency", "to the end of the request"),
        Meaning("requests_per_second", "request_throughput", "a mean over the time of the run, by its own weights"),
    ),
)  # fmt: skip
