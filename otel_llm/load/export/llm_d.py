"""A run as a Benchmark Report of llm-d, version 0.2: what its analyses and charts read.

Source: the package llmd-benchmark-report 0.2.1, read in November 2026. A report is YAML, and so is
this JSON. What that format has no place for, such as intervals and the verdict on the client, stands in `native`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

__all__ = ["llm_d_of_run"]

_PERCENTILES: Final = {"p50": "p50", "p75": "p75", "p90": "p90", "p95": "p95", "p99": "p99", "p99p9": "p99.9"}
_LATENCIES: Final = {
    "time_to_first_token": "s", "time_per_output_token": "s/token", "inter_token_latency": "s/token",
    "request_latency": "s",
}  # fmt: skip
_RATES: Final = {
    "request_rate": ("request_throughput", "queries/s"), "output_token_rate": ("output_token_throughput", "tokens/s"),
    "total_token_rate": ("total_token_throughput", "tokens/s"),
}  # fmt: skip


def llm_d_of_run(report: Mapping[str, Any]) -> bytes:
    """Return the report of a run."""
    run = report["run"]
    start = datetime.fromisoformat(run["started_at"])
    end = start + timedelta(seconds=report["duration"])
    made = {
        "version": "0.2",
        "run": {
            "uid": run["id"],
            "time": {
                "start": start.isoformat(), "end": end.isoformat(), "duration": f"PT{report['duration']:.6f}S",
            },
            "description": run["name"],
        },
        "scenario": {"load": _load(report)},
        "results": {
            "request_performance": {
                "aggregate": {
                    "requests": _requests(report),
                    "latency": {
                        name: found for name, unit in _LATENCIES.items()
                        if (found := _statistics(report["measures"][name], unit)) is not None
                    },
                    "throughput": {
                        name: {"units": unit, "mean": report[figure]}
                        for name, (figure, unit) in _RATES.items() if report.get(figure) is not None
                    },
                }
            }
        },
    }  # fmt: skip
    return msgspec.json.format(msgspec.json.encode(made)) + b"\n"


def _load(report: Mapping[str, Any]) -> dict[str, Any]:
    run = report["run"]
    arguments = run["arguments"]
    rate, parallel = arguments.get("rate"), arguments.get("parallel")
    standardized = {
        "tool": "otel-llm",
        "tool_version": str(run["versions"].get("otel_llm", "unknown")),
        "source": "random" if arguments.get("input_tokens") else "sampled",
        "input_seq_len": _length(report["measures"]["input_tokens"]),
        "output_seq_len": _length(report["measures"]["output_tokens"]),
        "rate_qps": rate if isinstance(rate, int | float) and rate > 0 else None,
        "concurrency": None if rate is not None else parallel or 1 if isinstance(parallel, int | None) else None,
    }
    own = {"client": report["client"], "throughput_ci95": report["throughput_ci95"], "notes": report.get("notes", [])}
    intervals = {name: row["ci95"] for name, row in report["measures"].items() if row["count"]}
    return {
        "metadata": {},
        "standardized": standardized,
        "native": {"args": arguments, "config": {**own, "ci95": intervals}},
    }


def _length(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a length in tokens as it was found, 0 where nobody said it."""
    if not row["count"]:
        return {"distribution": "other", "value": 0}
    return {"distribution": "other", "value": row["mean"], "min": int(row["min"]), "max": max(int(row["max"]), 1)}


def _requests(report: Mapping[str, Any]) -> dict[str, Any]:
    requests, measures = report["requests"], report["measures"]
    return {
        "total": requests["sent"],
        "failures": requests["failed"],
        "incomplete": requests["cancelled"],
        "input_length": _statistics(measures["input_tokens"], "count"),
        "output_length": _statistics(measures["output_tokens"], "count"),
    }


def _statistics(row: Mapping[str, Any], units: str) -> dict[str, Any] | None:
    if not row["count"] or row["mean"] is None:
        return None
    percentiles = {theirs: row[ours] for theirs, ours in _PERCENTILES.items()}
    return {"units": units, "mean": row["mean"], "min": row["min"], **percentiles, "max": row["max"]}
