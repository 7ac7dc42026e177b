"""aiperf, and its forerunner genai-perf, whose files have the same shape."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from otel_llm.load.foreign.tool import Figures, Meaning, Tool, milliseconds_of

__all__ = ["AIPERF", "GENAI_PERF"]

_STATISTICS: Final = {"mean": "avg", "p50": "p50", "p90": "p90", "p99": "p99"}
_FROM_START: Final = "from the start of the request to its first event with content, as ours"
_MEAN_GAP: Final = (
    "one mean for each request, (end − first token) / (tokens − 1): a stall is spread over the answer; ours ends at "
    "the last token, not at the end of the stream"
)


def _measures(found: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {ours: milliseconds_of(found[theirs], _STATISTICS) for ours, theirs in names.items() if found.get(theirs)}


def _average(found: Mapping[str, Any], name: str) -> Any:
    return (found.get(name) or {}).get("avg")


def _read_aiperf(_: Path, found: Mapping[str, Any]) -> Figures:
    names = {
        "time_to_first_token": "time_to_first_token", "request_latency": "request_latency",
        "time_per_output_token": "inter_token_latency", "inter_token_latency": "inter_chunk_latency",
    }  # fmt: skip
    given = found.get("input_config") or {}
    phase = (given.get("phases") or [{}])[0]
    load = {
        ours: phase[theirs] for ours, theirs in {"parallel": "concurrency", "rate": "rate"}.items() if theirs in phase
    }
    return Figures(
        _model(given),
        found.get("start_time"),
        int(_average(found, "request_count") or 0),
        int(_average(found, "error_request_count") or 0),
        _average(found, "benchmark_duration"),
        _measures(found, names),
        _average(found, "request_throughput"),
        _average(found, "output_token_throughput"),
        load,
    )


def _model(given: Mapping[str, Any]) -> str | None:
    """Return the model that was asked: where aiperf has it, or where genai-perf does."""
    match given:
        case (
            {"models": {"items": [{"name": str(model)}, *_]}}
            | {"model_names": [str(model), *_]}
            | {"formatted_model_name": str(model)}
        ):
            return model
    return None


def _read_genai_perf(_: Path, found: Mapping[str, Any]) -> Figures:
    names = {
        "time_to_first_token": "time_to_first_token", "request_latency": "request_latency",
        "time_per_output_token": "inter_token_latency",
    }  # fmt: skip
    given = found.get("input_config") or {}
    stimulus = (given.get("perf_analyzer") or {}).get("stimulus") or {}
    loads = {"parallel": "concurrency", "rate": "request_rate"}
    return Figures(
        _model(given),
        None,
        int(_average(found, "request_count") or 0),
        None,
        None,
        _measures(found, names),
        _average(found, "request_throughput"),
        _average(found, "output_token_throughput"),
        {ours: stimulus[theirs] for ours, theirs in loads.items() if theirs in stimulus},
    )


def _is_aiperf(found: Mapping[str, Any]) -> bool:
    return "aiperf_version" in found or ("benchmark_duration" in found and "request_latency" in found)


AIPERF: Final = Tool(
    "aiperf", "0.13.0, a result of it", _is_aiperf, _read_aiperf,
    "its log says where its event loop was late, its result does not",
    (
        Meaning("time_to_first_token", "time_to_first_token", _FROM_START),
        Meaning("inter_token_latency", "time_per_output_token", _MEAN_GAP),
        Meaning(
            "inter_chunk_latency", "inter_token_latency",
            "gaps between events with content; ours counts a gap once for each token of an event, so the two differ "
            "where events hold several tokens",
        ),
        Meaning("request_latency", "request_latency", "to the last event with content or usage; ours is to the end"),
        Meaning("percentiles", None, "by linear interpolation, as ours"),
    ),
)  # fmt: skip

GENAI_PERF: Final = Tool(
    "genai-perf", "0.0.16, a result of it: it is no longer made",
    lambda found: "input_config" in found and isinstance(found.get("request_latency"), Mapping), _read_genai_perf,
    "it says nothing of it",
    (
        Meaning("time_to_first_token", "time_to_first_token", f"{_FROM_START} where the role has an event of its own"),
        Meaning("inter_token_latency", "time_per_output_token", _MEAN_GAP),
        Meaning("time_to_second_token", None, "not one of ours"),
        Meaning("request_latency", "request_latency", "to the last event"),
    ),
)  # fmt: skip
