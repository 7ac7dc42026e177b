"""inference-perf: `summary_lifecycle_metrics.json`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from otel_llm.load.foreign.tool import Figures, Meaning, Statistics, Tool

__all__ = ["INFERENCE_PERF"]

_MEASURES: Final = ("time_to_first_token", "time_per_output_token", "inter_token_latency", "request_latency")


def _statistics(found: Mapping[str, Any]) -> Statistics:
    return {"mean": found.get("mean"), "p50": found.get("median"), "p90": found.get("p90"), "p99": found.get("p99")}


def _read(_: Path, found: Mapping[str, Any]) -> Figures:
    good = found["successes"]
    latency = good["latency"]
    return Figures(
        None,
        None,
        good["count"],
        (found.get("failures") or {}).get("count"),
        found.get("benchmark_time_seconds"),
        {name: _statistics(latency[name]) for name in _MEASURES if latency.get(name)},
        (good.get("throughput") or {}).get("requests_per_sec"),
        (good.get("throughput") or {}).get("output_tokens_per_sec"),
        {},
    )


INFERENCE_PERF: Final = Tool(
    "inference-perf", "0.7.0, a result of it",
    lambda found: "successes" in found and "load_summary" in found, _read,
    "schedule_delay says how late it sent; it says nothing of how late it received",
    (
        Meaning(
            "time_to_first_token", "time_to_first_token",
            "to the first event whose text has a token by its own tokenizer",
        ),
        Meaning(
            "inter_token_latency", "inter_token_latency",
            "gaps between tokens that it counts itself: those of one event are 0 apart, where ours share the gap",
        ),
        Meaning("time_per_output_token", "time_per_output_token", "(last − first token) / (tokens − 1), as ours"),
        Meaning("normalized_time_per_output_token", None, "latency / tokens: the first token is in it"),
        Meaning("request_latency", "request_latency", "to the end of the stream"),
        Meaning("percentiles", None, "by linear interpolation, as ours"),
    ),
)  # fmt: skip
