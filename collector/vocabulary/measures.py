"""The latencies that recording rules and dashboards are about, and which instruments together are one of them."""

from dataclasses import dataclass
from typing import Final

from otel_llm import conventions
from otel_llm_collector.vocabulary.prometheus_names import series_names

__all__ = [
    "DECODE",
    "DURATION",
    "INFERENCE",
    "ITL",
    "MEASURES",
    "ON_ONE_GRID",
    "PREFILL",
    "QUEUE",
    "TPOT",
    "TTFT",
    "WAITED_FOR",
    "Measure",
]


@dataclass(frozen=True, slots=True)
class Measure:
    """One latency, whoever measured it. For each service only the first source that it has is used, never two."""

    name: str
    title: str
    instruments: tuple[str, ...]
    bounds: tuple[float, float]
    """Seconds between which percentiles across engines are computed; values outside are counted, and clipped."""

    @property
    def heading(self) -> str:
        """The title with a capital letter."""
        return self.title[0].upper() + self.title[1:]

    def sources(self) -> tuple[str, ...]:
        """Return the series of its instruments, in both generations of the conventions, best first."""
        found = [name for key in self.instruments for name in series_names(conventions.instrument(key))]
        return tuple(dict.fromkeys(found))


TTFT: Final = Measure(
    "time_to_first_token",
    "time to first token",
    ("time_to_first_token", "time_to_first_chunk", "server_time_to_first_token"),
    (0.001, 1000),
)
ITL: Final = Measure(
    "inter_token_latency",
    "inter-token latency",
    ("inter_token_latency", "time_per_output_chunk", "server_inter_token_latency"),
    (0.0005, 10),
)
TPOT: Final = Measure(
    "time_per_output_token",
    "time per output token",
    ("time_per_output_token", "server_time_per_output_token"),
    (0.0005, 10),
)
DURATION: Final = Measure(
    "request_duration",
    "request duration",
    ("operation_duration", "embeddings_duration", "server_request_duration"),
    (0.01, 1000),
)
QUEUE: Final = Measure("queue_duration", "queue duration", ("server_queue_duration",), (0.001, 1000))
PREFILL: Final = Measure("prefill_duration", "prefill duration", ("server_prefill_duration",), (0.001, 1000))
DECODE: Final = Measure("decode_duration", "decode duration", ("server_decode_duration",), (0.01, 1000))
INFERENCE: Final = Measure("inference_duration", "inference duration", ("server_inference_duration",), (0.01, 1000))
"""Not recorded: it is prefill and decode, for engines that do not tell them apart."""

WAITED_FOR: Final = (TTFT, ITL, TPOT, DURATION)
"""What clients wait for, and see."""
ON_ONE_GRID: Final = (*WAITED_FOR, QUEUE)
"""Those of which percentiles across engines are recorded: the dearest rules. Others are recorded for each engine."""
MEASURES: Final = (*WAITED_FOR, QUEUE, PREFILL, DECODE)
"""All that are recorded: what clients wait for, and what the engine's part of it is made of.

An application that someone else instrumented is covered by the conventions' own names.
"""
