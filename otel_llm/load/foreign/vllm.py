"""`vllm bench serve --save-result`, and `sglang.bench_serving --output-file`, which came of it."""

from collections.abc import Mapping
from math import isfinite, isnan, nan
from pathlib import Path
from typing import Any, Final

from otel_llm.load.foreign.tool import Figures, Meaning, Tool, milliseconds_of

__all__ = ["SGLANG", "VLLM"]


def _statistics(found: Mapping[str, Any], name: str) -> dict[str, float | None]:
    names = {"mean": f"mean_{name}_ms", "p50": f"median_{name}_ms"}
    names |= {each: f"{each}_{name}_ms" for each in ("p90", "p99")}
    if found.get(names["p50"]) is None:
        names["p50"] = f"p50_{name}_ms"
    return dict(milliseconds_of(found, names))


def _figures(found: Mapping[str, Any], names: Mapping[str, str]) -> Figures:
    try:
        rate = float(found.get("request_rate") or "inf")
    except ValueError:  # "trace": at the times of a trace, which it does not keep
        rate = nan
    limit = found.get("max_concurrency")
    at_once = {} if isnan(rate) else {"rate": -1}
    load = {"rate": rate} if isfinite(rate) else {"parallel": limit} if limit else at_once
    measures = {ours: _statistics(found, theirs) for ours, theirs in names.items()}
    return Figures(
        found.get("model_id"),
        found.get("date"),
        found["completed"],
        found.get("failed"),
        found["duration"],
        {ours: each for ours, each in measures.items() if each["mean"] is not None},
        found.get("request_throughput"),
        found.get("output_throughput"),
        load,
    )


def _read_vllm(_: Path, found: Mapping[str, Any]) -> Figures:
    names = {"time_to_first_token": "ttft", "time_per_output_token": "tpot", "inter_token_latency": "itl"}
    return _figures(found, {**names, "request_latency": "e2el"})


def _read_sglang(_: Path, found: Mapping[str, Any]) -> Figures:
    names = {"time_to_first_token": "ttft", "time_per_output_token": "tpot", "inter_token_latency": "itl"}
    return _figures(found, {**names, "request_latency": "e2e_latency"})


def _is_sglang(found: Mapping[str, Any]) -> bool:
    return "median_ttft_ms" in found and ("total_output_tokens_retokenized" in found or "mean_e2e_latency_ms" in found)


_MEAN_GAP: Final = "(latency − TTFT) / (tokens − 1) for each request; ours ends at the last token"
_COMPLETED: Final = Meaning("completed", None, "an error inside a chat's stream is passed over: it counts as completed")
_PERCENTILES: Final = Meaning("percentiles", None, "by linear interpolation, as ours")

VLLM: Final = Tool(
    "vllm bench serve", "0.32.0, a result of it",
    lambda found: "median_ttft_ms" in found and "num_prompts" in found and not _is_sglang(found), _read_vllm,
    "it says nothing of it",
    (
        Meaning(
            "ttft", "time_to_first_token",
            "to the first event with `choices`: where the role comes in an event of its own, that one, and not a token",
        ),
        Meaning(
            "itl", "inter_token_latency",
            "gaps between events with `choices`, the first and the last included, once for each event; ours once "
            "for each token",
        ),
        Meaning("tpot", "time_per_output_token", f"{_MEAN_GAP}, and begins at its first event"),
        Meaning(
            "e2el", "request_latency",
            "to the last event with `choices`; only where --percentile-metrics asked for it",
        ),
        _COMPLETED,
        _PERCENTILES,
    ),
)  # fmt: skip

SGLANG: Final = Tool(
    "sglang bench_serving", "0.5.23, a result of it", _is_sglang, _read_sglang, "it says nothing of it",
    (
        Meaning("ttft", "time_to_first_token", "to the first event with text, as ours"),
        Meaning(
            "itl", "inter_token_latency",
            "gaps between events with text, once for each event; with its own protocol a gap is divided among the "
            "tokens of its event; ours is the gap, once for each token",
        ),
        Meaning("tpot", "time_per_output_token", _MEAN_GAP),
        Meaning("e2e_latency", "request_latency", "to the end of the stream"),
        _COMPLETED,
        _PERCENTILES,
    ),
)  # fmt: skip
