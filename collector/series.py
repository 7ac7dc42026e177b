"""What an instrument is called in Prometheus, and which instruments together are one measure.

Prometheus turns dots into underscores and appends the unit and `_total` (translation strategy
UnderscoreEscapingWithSuffixes, which `servers/prometheus.yaml` sets).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from otel_llm import conventions

__all__ = ["MEASURES", "Measure", "label", "series"]

_UNITS: Final = {"s": "seconds", "{token}/s": "per_second"}


@dataclass(frozen=True, slots=True)
class Measure:
    """One latency, whoever measured it. Of one service only the first source that it has counts, else twice."""

    name: str
    title: str
    instruments: tuple[str, ...]
    bounds: tuple[float, float]
    """Seconds between which percentiles across engines are made; what is outside is counted, and clipped."""

    def sources(self) -> tuple[str, ...]:
        """Return the series of its instruments, both generations of the conventions, best first."""
        found = [name for key in self.instruments for name in _generations(conventions.instrument(key))]
        return tuple(dict.fromkeys(found))


MEASURES: Final = (
    Measure(
        "time_to_first_token",
        "time to first token",
        ("time_to_first_token", "time_to_first_chunk", "server_time_to_first_token"),
        (0.001, 1000),
    ),
    Measure(
        "inter_token_latency",
        "inter-token latency",
        ("inter_token_latency", "time_per_output_chunk", "server_inter_token_latency"),
        (0.0005, 10),
    ),
    Measure(
        "time_per_output_token",
        "time per output token",
        ("time_per_output_token", "server_time_per_output_token"),
        (0.0005, 10),
    ),
    Measure("request_duration", "request duration", ("operation_duration", "server_request_duration"), (0.01, 1000)),
    Measure("queue_duration", "queue duration", ("server_queue_duration",), (0.001, 1000)),
)
"""What recording rules are made of. An app that someone else instrumented counts through the conventions' names."""


def series(instrument: conventions.Instrument, name: str | None = None) -> str:
    """Return its name in Prometheus, without the `_bucket` and the like of an explicit histogram."""
    parts = [label(name or instrument.v1_41 or instrument.latest or "")]
    if instrument.unit in _UNITS:
        parts.append(_UNITS[instrument.unit])
    elif instrument.unit == "1" and instrument.kind == "gauge" and not parts[0].endswith("_ratio"):
        parts.append("ratio")
    if instrument.kind == "counter":
        parts.append("total")
    return "_".join(parts)


def label(attribute: str) -> str:
    """Return what Prometheus calls an attribute."""
    return attribute.replace(".", "_")


def _generations(instrument: conventions.Instrument) -> Iterator[str]:
    for name in instrument.names((conventions.V1_41, conventions.LATEST)):
        yield series(instrument, name)
