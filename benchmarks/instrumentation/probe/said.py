"""What a library said of one call, under whichever names it says it: spans, tokens, first token, gaps."""

from dataclasses import asdict, dataclass
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from benchmarks.instrumentation.probe.seen import Point, Seen

OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "otel_llm.output_tokens",
)
INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
FIRST = ("time_to_first_token", "time_to_first_chunk", "streaming_time_to_first_token")
GAPS = ("inter_token_latency", "time_per_output_chunk")
PACE = ("time_per_output_token",)
DURATION = ("client.operation.duration", "client.inference.duration", "request.duration")


@dataclass
class Said:
    """Of one call. Times in seconds; None where nothing was said.

    status, error: of the span; outcome: how it says that the stream ended, where it has a word for that
    span_s:        from the span's start to its end
    first, gaps, pace, duration: the metric that was recorded, as (name, number of values, sum, greatest)
    """

    spans: int
    status: str | None = None
    error: str | None = None
    outcome: str | None = None
    span_s: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    source: str | None = None
    first: tuple[str, int, float, float] | None = None
    gaps: tuple[str, int, float, float] | None = None
    pace: tuple[str, int, float, float] | None = None
    duration: tuple[str, int, float, float] | None = None
    duration_error: str | None = None

    def __iter__(self) -> Any:
        return iter(asdict(self).items())


def said(seen: Seen) -> Said:
    """Return what was said since the last look, of a call that is over."""
    points, spans = seen.points(), seen.spans()
    about = Said(len(spans))
    about.first, about.gaps, about.pace = (_metric(points, names) for names in (FIRST, GAPS, PACE))
    about.duration = _metric(points, DURATION)
    if about.duration is not None:
        errors = [p.attributes.get("error.type") for p in points if p.name == about.duration[0]]
        about.duration_error = next((str(error) for error in errors if error), None)
    if spans:
        _of_span(about, spans[-1])
    return about


def _of_span(about: Said, span: ReadableSpan) -> None:
    attributes = dict(span.attributes or {})
    about.status = span.status.status_code.name
    about.error = _text(attributes.get("error.type"))
    about.outcome = _text(attributes.get("otel_llm.stream.outcome"))
    about.source = _text(attributes.get("otel_llm.token.source"))
    if span.start_time is not None and span.end_time is not None:
        about.span_s = (span.end_time - span.start_time) / 1e9
    about.input_tokens = next((int(attributes[name]) for name in INPUT if name in attributes), None)  # type: ignore[call-overload]
    about.output_tokens = next((int(attributes[name]) for name in OUTPUT if name in attributes), None)  # type: ignore[call-overload]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _metric(points: list[Point], names: tuple[str, ...]) -> tuple[str, int, float, float] | None:
    """Return the first of these metrics that got a value; ours has both the chunk's and the token's, which is first."""
    for name in names:
        found = [point for point in points if point.name.endswith("." + name)]
        if found and (count := sum(point.count for point in found)):
            return found[0].name, count, sum(p.total for p in found), max(p.greatest for p in found)
    return None
