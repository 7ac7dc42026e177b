"""The metrics of one call, as shown to its caller."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Self

import msgspec

from otel_llm.record import Outcome, ServerTimes, StreamRecord, TokenSource

__all__ = ["LAST", "FinishedCall", "GenerationMetrics"]


@dataclass(frozen=True, slots=True)
class GenerationMetrics:
    """The measures of one call. Times are seconds; what is not known is None, never 0.

    time_to_first_token:   start to the first chunk with text, reasoning or tool content; None when not streamed
    time_to_first_chunk:   start to the first chunk, whatever it holds; None when not streamed
    generation_latency:    start to end; an unfinished stream ends at its last chunk
    time_per_output_token: mean pace after the first chunk; None with no token after it
    inter_token_latencies: one value for every token after the first chunk
    throughput:            output tokens / generation_latency, tokens/s; None when either is unknown or no time passed
    token_source:          who counted: "provider", "counted" (a tokenizer, or a list of tokens), "chunks"
    server:                what the server says of its own time (docs/server.md)
    outcome:               "complete", "closed_early", "abandoned", "cancelled" or "error"

    As text it is the three lines of the `metrics_decorator` document.
    """

    time_to_first_token: float | None
    time_to_first_chunk: float | None
    generation_latency: float
    time_per_output_token: float | None
    inter_token_latencies: tuple[float, ...]
    throughput: float | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    token_source: TokenSource | None
    outcome: Outcome
    error_type: str | None
    model: str | None
    server: ServerTimes | None = None

    @classmethod
    def of(cls, record: StreamRecord) -> Self:
        """Return the metrics of a record."""
        from otel_llm import measures  # numpy, which `import otel_llm` does not load

        return cls(
            time_to_first_token=measures.time_to_first_token(record),
            time_to_first_chunk=measures.time_to_first_chunk(record),
            generation_latency=measures.request_latency(record),
            time_per_output_token=measures.time_per_output_token(record),
            inter_token_latencies=tuple(measures.inter_token_latencies(record).tolist()),
            throughput=measures.output_throughput(record),
            input_tokens=record.input_tokens,
            output_tokens=record.output_tokens,
            cached_tokens=record.cached_tokens,
            reasoning_tokens=record.reasoning_tokens,
            token_source=record.token_source,
            outcome=record.outcome,
            error_type=record.error_type,
            model=record.model,
            server=record.server,
        )

    def __str__(self) -> str:
        return (
            f"Time to First Token: {self.time_to_first_token}\n"
            f"Generation Latency: {self.generation_latency}\n"
            f"Throughput: {self.throughput}"
        )


class FinishedCall(msgspec.Struct):
    """The record of a call, and its metrics once somebody asks for them."""

    record: StreamRecord
    _metrics: GenerationMetrics | None = None

    @property
    def metrics(self) -> GenerationMetrics:
        """The metrics of the call, computed when they are first asked for."""
        if self._metrics is None:
            self._metrics = GenerationMetrics.of(self.record)
        return self._metrics


LAST: Final[ContextVar[FinishedCall | None]] = ContextVar("otel_llm.last", default=None)
"""The measured call that ended last in this thread or task."""
