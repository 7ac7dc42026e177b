"""The results of a calibration of this machine, kept so that later runs can be compared with them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["Level", "compare_with_levels", "load_levels", "save_levels"]


@dataclass(frozen=True, slots=True)
class Level:
    """The result at one level of load. An error is our figure minus the server's own, seconds.

    packets_per_s: packets received per second while the streams were open
    arrival_p50, arrival_p99: from when the server began to write a chunk to our stamp of it
    itl_p99_error: of the 99th percentile of inter-token latency
    """

    streams: int
    packets_per_s: float
    arrival_p50: float
    arrival_p99: float
    ttft_mean_error: float
    itl_p99_error: float
    limited: bool
    clock: str


def _levels_file() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "otel_llm" / "calibration.json"


def save_levels(levels: Sequence[Level]) -> Path:
    """Write the levels to a file for later runs, and return its path."""
    place = _levels_file()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(msgspec.json.format(msgspec.json.encode(levels)) + b"\n")
    return place


def load_levels() -> list[Level]:
    """Return the levels that were saved; an empty list when this machine was never calibrated."""
    try:
        return msgspec.json.decode(_levels_file().read_bytes(), type=list[Level])
    except (OSError, msgspec.DecodeError):
        return []


def compare_with_levels(report: Mapping[str, Any], levels: Sequence[Level]) -> str | None:
    """Return one line that compares a run's packet rate with the levels; None without levels or packets."""
    good = [level for level in levels if not level.limited]
    took = report["duration"]
    if not levels or not took or not report["client"]["reads"]:
        return None
    rate = report["client"]["reads"] / took
    near = next((level for level in good if level.packets_per_s >= rate), None)
    if near is not None:
        error = f"ITL p99 error {near.itl_p99_error * 1e3:+.3f} ms, first token {near.ttft_mean_error * 1e3:+.2f} ms"
        return f"calibrated: {rate:,.0f} packets/s; at {near.packets_per_s:,.0f} this machine measures with {error}"
    most = max((level.packets_per_s for level in good), default=0.0)
    return (
        f"calibrated: {rate:,.0f} packets/s is more than the {most:,.0f} at which this machine was seen to measure well"
    )
