"""Spans of calls that are over, under the ids that went out in their requests.

A span that is opened and ended by a tracer has its attributes cleaned, locked and copied three times, which takes
longer than making all the measures of its record. One that is known whole needs none of it.
"""

import itertools
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Decision, Sampler
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

__all__ = ["FinishedSpans"]

_UNSET: Final = Status(StatusCode.UNSET)
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_DROPPED: Final = TraceFlags(TraceFlags.DEFAULT)


class FinishedSpans(TracerProvider):
    """The SDK's provider, which also takes spans that are over. Its sampler and its limits hold for them too.

    Processors hear of such a span once, by `on_end`: there was no moment at which it was open here.
    """

    def __init__(
        self,
        *,
        resource: Resource | None = None,
        sampler: Sampler | None = None,
        span_limits: SpanLimits | None = None,
    ) -> None:
        self._processors: list[SpanProcessor] = []
        self._limits = span_limits or SpanLimits()
        self._told: Resource | None = None
        super().__init__(sampler=sampler, resource=resource, shutdown_on_exit=False, span_limits=self._limits)

    @property
    def resource(self) -> Resource:
        """Whose spans they are: what `belong_to` said last, else what it was made with."""
        return self._told or super().resource

    def belong_to(self, resource: Resource) -> None:
        """Give another resource to spans from now on; those of the SDK's tracers that were made before keep theirs."""
        self._told = resource

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        super().add_span_processor(span_processor)
        self._processors.append(span_processor)

    def add(
        self,
        scope: InstrumentationScope,
        name: str,
        kind: SpanKind,
        ids: tuple[str | None, str | None],
        moments: tuple[int, int],
        known: Mapping[str, Any],
        learnt: Mapping[str, Any],
        status: Status | None,
    ) -> SpanContext:
        """Make one span and hand it to every processor; return its context.

        ids:     trace and span id in hexadecimal, None for random ones; moments: start and end, Unix time in ns
        known:   what a sampler may decide by; learnt: the other attributes
        """
        trace_id = int(ids[0], 16) if ids[0] else self.id_generator.generate_trace_id()
        span_id = int(ids[1], 16) if ids[1] else self.id_generator.generate_span_id()
        recorded, sampled, extra, state = True, True, {}, None
        if self.sampler is not DEFAULT_ON:  # which would say yes to a root, six microseconds later
            result = self.sampler.should_sample(Context(), trace_id, name, kind, known)
            recorded, sampled = result.decision is not Decision.DROP, result.decision is Decision.RECORD_AND_SAMPLE
            extra, state = dict(result.attributes or {}), result.trace_state
        context = SpanContext(trace_id, span_id, False, _SAMPLED if sampled else _DROPPED, state)
        if recorded:
            span = ReadableSpan(
                name,
                context,
                resource=self.resource,
                attributes=self._within_limits({**extra, **known, **learnt}),
                kind=kind,
                status=status or _UNSET,
                start_time=moments[0],
                end_time=moments[1],
                instrumentation_scope=scope,
            )
            for processor in self._processors:
                processor.on_end(span)
        return context

    def _within_limits(self, attributes: dict[str, Any]) -> Mapping[str, Any]:
        most, longest = self._limits.max_span_attributes, self._limits.max_span_attribute_length
        if longest is None and (most is None or len(attributes) <= most) and _plain(attributes):
            return attributes
        return BoundedAttributes(most, attributes, immutable=True, max_value_len=longest)


_PLAIN: Final = frozenset((str, int, float, bool))


def _plain(attributes: Mapping[str, Any]) -> bool:
    """Return whether no value is of a kind that the SDK would have to look into: lists are of strings here."""
    kinds = set(map(type, attributes.values()))
    if not kinds <= _PLAIN and kinds - _PLAIN == {tuple}:
        inside = itertools.chain.from_iterable(v for v in attributes.values() if v.__class__ is tuple)
        return all(value.__class__ is str for value in inside)
    return kinds <= _PLAIN
