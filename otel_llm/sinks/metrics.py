"""Records as metrics: which numbers of a record go to which instrument, and the instruments of one meter provider.

A stream that failed feeds durations only, with `error.type`: its partial timings would make a server look better. One
that was closed early, abandoned or cancelled feeds the latencies too when the application decided so; in a load run,
whose requests are known by their number, it did not end as planned and feeds none.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np
from opentelemetry import metrics
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context

from otel_llm import conventions as names
from otel_llm import measures
from otel_llm.measures import Facts
from otel_llm.record import StreamRecord
from otel_llm.sinks.active import ActiveCalls
from otel_llm.sinks.bulk import Offer, Values, record_many
from otel_llm.sinks.probe import asks_before_it_reads
from otel_llm.sinks.waiting import WaitingCalls

__all__ = ["EndedCall", "Metrics"]


@dataclass(frozen=True, slots=True)
class Feed:
    """One row: the instrument's key in `conventions`, the values a record has for it, and which records feed it."""

    key: str
    values: Callable[[Facts], Values]
    takes: Callable[[StreamRecord], bool]
    with_error: bool = False
    extra: tuple[tuple[str, str], ...] = ()


def _timed(record: StreamRecord) -> bool:
    return record.outcome == "complete" or (record.index is None and record.outcome != "error")


def _streamed(record: StreamRecord) -> bool:
    return bool(record.chunks.at_ns) and _timed(record)


def _in_process(record: StreamRecord) -> bool:
    return record.kind == "internal" and record.index is None and record.operation != names.INVOKE_AGENT


def _served(record: StreamRecord) -> bool:
    return bool(record.chunks.at_ns) and record.outcome == "complete" and _in_process(record)


def _infers(record: StreamRecord) -> bool:
    return record.operation != names.EMBEDDINGS


def _embeds(record: StreamRecord) -> bool:
    return record.operation == names.EMBEDDINGS


def _billed(record: StreamRecord) -> bool:
    """Tokens that were made up from chunks are no usage."""
    return record.token_source != "chunks"


def _inferred(record: StreamRecord) -> bool:
    return _billed(record) and _infers(record)


def _asked(record: StreamRecord) -> bool:
    return record.input_tokens is not None and _billed(record)


def _answered(record: StreamRecord) -> bool:
    return record.output_tokens is not None and _billed(record)


def _paced(record: StreamRecord) -> bool:
    return record.output_tokens is not None and _timed(record)


def _load(record: StreamRecord) -> bool:
    return record.index is not None


def _one(measure: Callable[[StreamRecord], float | None]) -> Callable[[Facts], Values]:
    def values(facts: Facts) -> Values:
        value = measure(facts.record)
        return () if value is None else (value,)

    return values


def _known(fact: str) -> Callable[[Facts], Values]:
    def values(facts: Facts) -> Values:
        value = getattr(facts, fact)
        return () if value is None else (value,)

    return values


def _or_zero(measure: Callable[[StreamRecord], float | None]) -> Callable[[Facts], Values]:
    return lambda facts: (measure(facts.record) or 0,)


def _input(record: StreamRecord) -> float | None:
    return record.input_tokens


def _output(record: StreamRecord) -> float | None:
    return record.output_tokens


_LONG: Final = 256
"""A call of more chunks takes too much memory to wait until somebody collects."""
_NOWHERE: Final = Context()
_DEAF: Final = metrics.NoOpMeterProvider.get_meter
_MANY: Final = 4096
"""How many kinds of records are remembered."""
_UNSPLIT: Final = ((names.TOKEN_MODALITY, "unknown"),)

_FEEDS: Final = (
    Feed("operation_duration", _one(measures.request_latency), _infers, with_error=True),
    Feed("embeddings_duration", _one(measures.request_latency), _embeds, with_error=True),
    Feed("time_to_first_chunk", _known("time_to_first_chunk"), _streamed),
    Feed("time_per_output_chunk", lambda facts: facts.inter_chunk_latencies, _streamed),
    Feed("token_usage", _one(_input), _asked, extra=((names.TOKEN_TYPE, "input"),)),
    Feed("token_usage", _one(_output), _answered, extra=((names.TOKEN_TYPE, "output"),)),
    Feed("usage_input_tokens", _or_zero(_input), _inferred, extra=_UNSPLIT),
    Feed("usage_output_tokens", _or_zero(_output), _inferred, extra=_UNSPLIT),
    Feed("usage_cached_tokens", _one(lambda record: record.cached_tokens), _inferred, extra=_UNSPLIT),
    Feed("usage_cache_write_tokens", _one(lambda record: record.cache_written_tokens), _inferred, extra=_UNSPLIT),
    Feed("usage_reasoning_tokens", _one(lambda record: record.reasoning_tokens), _inferred, extra=_UNSPLIT),
    Feed("operation_input_tokens", _one(_input), _inferred, with_error=True),
    Feed("operation_output_tokens", _one(_output), _inferred, with_error=True),
    Feed("embeddings_input_tokens", _one(_input), _embeds, with_error=True),
    Feed("server_request_duration", _one(measures.request_latency), _in_process, with_error=True),
    Feed("server_time_to_first_token", _known("time_to_first_token"), _served),
    Feed("server_time_per_output_token", _one(measures.server_time_per_output_token), _served),
    Feed("time_to_first_token", _known("time_to_first_token"), _streamed),
    Feed("inter_token_latency", lambda facts: facts.inter_token_latencies, _streamed),
    Feed("time_per_output_token", _known("time_per_output_token"), _streamed),
    Feed("max_inter_token_latency", _known("max_inter_token_latency"), _streamed),
    Feed("output_throughput", _one(measures.output_throughput), _paced),
    Feed("queue_delay", _one(measures.queue_delay), _load),
    Feed("load_requests", lambda _: (1,), _load, with_error=True),
)


class EndedCall(NamedTuple):
    """A call that ended. Of its span only the ids are kept. ended_unix_ns: nanoseconds since 1970"""

    facts: Facts
    span: SpanContext
    ended_unix_ns: int


class Metrics:
    """The instruments of one meter provider, each made when it is first fed.

    Histograms always come with boundary advice: without it the SDK's default buckets, meant for milliseconds, would
    hold every latency in one. What they are aggregated to is left to the provider.
    """

    def __init__(
        self,
        provider: metrics.MeterProvider | None,
        profiles: tuple[names.Profile, ...],
        version: str,
        schema: str | None,
        failed: Callable[[], None],
    ) -> None:
        """provider: None for the global one, looked up when first needed; version, schema: of the scope

        failed: called where calls that waited could not be recorded, while the exception is handled
        """
        self._provider, self._heard_by, self._profiles = provider, provider, profiles
        self._version, self._schema = version, schema
        self._feeds = tuple(feed for feed in _FEEDS if names.instrument(feed.key).names(profiles))
        self._fed_by: dict[Any, tuple[tuple[Feed, Mapping[str, Any]], ...]] = {}
        """What records are like -> the feeds that take them, with their attributes."""
        self._made: dict[str, tuple[Callable[..., None], ...]] = {}
        self._waiting, self._failed = WaitingCalls(self._record_waiting), failed
        self._active = ActiveCalls(self._waiting.record)
        self._counted = False
        self._lock = threading.Lock()

    def feed(
        self,
        key: str,
        values: Values,
        attributes: Mapping[str, Any] | None = None,
        context: Context | None = None,
        offers: Sequence[Offer] = (),
    ) -> None:
        """Give values, in the instrument's unit: to a histogram each, to a counter their sum, to a gauge the last.

        context, offers: where exemplars point, see `record_many`
        """
        if not len(values):
            return
        made = self._made.get(key)
        for take in self._make(key) if made is None else made:
            take(values, attributes, context, offers)

    def heard(self) -> bool:
        """Return whether somebody listens. Without an SDK nobody does, until one is set up."""
        provider = self._listening()
        return provider is not None and type(provider).get_meter is not _DEAF

    def _listening(self) -> Any:
        if self._heard_by is None:
            self._heard_by = metrics.get_meter_provider()  # a proxy, where none is set up yet
        return getattr(self._heard_by, "_real_meter_provider", self._heard_by)

    def active(self, attributes: Mapping[str, Any]) -> set[object]:
        """Return the calls under way that count under `attributes`: add one as it begins, discard it as it ends."""
        if not self._counted:
            self._count_active()
        return self._active[tuple(attributes.items())]

    def prepare(self) -> None:
        """Make every instrument that a call may feed. The SDK exports nothing of one that was not fed."""
        self._count_active()
        asks_before_it_reads()
        for feed in self._feeds:
            if feed.takes is not _load:
                self._make(feed.key)

    def record_soon(self, call: EndedCall) -> None:
        """Feed every instrument from a call, at the latest when somebody collects."""
        if self._counted and type(self._listening()) is MeterProvider and asks_before_it_reads():
            self._waiting.add(call, long=len(call.facts.record.chunks.at_ns) > _LONG)
        else:
            self._record_waiting([call])

    def _record_waiting(self, calls: Sequence[EndedCall]) -> None:
        try:
            contexts = [set_span_in_context(NonRecordingSpan(call.span), _NOWHERE) for call in calls]
            self.record([call.facts for call in calls], contexts, [call.ended_unix_ns for call in calls])
        except Exception:
            self._failed()

    def record(
        self, facts: Sequence[Facts], contexts: Sequence[Context], ended_unix_ns: Sequence[int] | None = None
    ) -> None:
        """Feed every instrument from all records, once for those that are alike.

        contexts:      of the span of each record, to which the exemplars point
        ended_unix_ns: when each ended. Given, the largest value of each is offered as an exemplar; else that of all
        """
        groups: dict[Any, list[int]] = {}
        for i, fact in enumerate(facts):
            groups.setdefault(_likeness(fact.record), []).append(i)
        for likeness, alike in groups.items():
            some, where = [facts[i] for i in alike], [contexts[i] for i in alike]
            ended = None if ended_unix_ns is None else [ended_unix_ns[i] for i in alike]
            for feed, attributes in self._feeds_of(likeness, some[0].record):
                self._feed_all(feed, attributes, some, where, ended)

    def _feeds_of(self, likeness: Any, record: StreamRecord) -> tuple[tuple[Feed, Mapping[str, Any]], ...]:
        found = self._fed_by.get(likeness)
        if found is None:
            if len(self._fed_by) >= _MANY:
                self._fed_by.clear()
            found = tuple((feed, _attributes_for(record, feed)) for feed in self._feeds if feed.takes(record))
            self._fed_by[likeness] = found
        return found

    def _feed_all(
        self,
        feed: Feed,
        attributes: Mapping[str, Any],
        facts: Sequence[Facts],
        contexts: Sequence[Context],
        ended: Sequence[int] | None,
    ) -> None:
        if len(facts) == 1:
            self.feed(feed.key, feed.values(facts[0]), attributes, contexts[0])
            return
        each = [feed.values(fact) for fact in facts]
        ends = np.cumsum([len(values) for values in each])
        if not ends[-1]:
            return
        # an array of each record's many, or a tuple of its one
        many = isinstance(each[0], np.ndarray)
        values = np.concatenate(each) if many else np.fromiter(chain.from_iterable(each), np.float64)
        worst = int(np.searchsorted(ends, np.argmax(values), side="right"))
        offers = []
        if ended is not None:
            own = zip(each, ended, contexts, strict=True)
            offers = [(float(max(some)), at, context) for some, at, context in own if len(some)]
        self.feed(feed.key, values, attributes, contexts[worst], offers)

    def _make(self, key: str) -> tuple[Callable[..., None], ...]:
        with self._lock:
            if key not in self._made:
                wanted, meter = names.instrument(key), self._meter()
                self._made[key] = tuple(_make_instrument(meter, wanted, name) for name in wanted.names(self._profiles))
            return self._made[key]

    def _count_active(self) -> None:
        with self._lock:
            if not self._counted:
                wanted, meter = names.instrument("active_requests"), self._meter()
                for name in wanted.names(self._profiles):
                    self._active.make_instrument(meter, wanted, name)
                self._counted = True

    def _meter(self) -> metrics.Meter:
        provider = self._provider or metrics.get_meter_provider()
        return provider.get_meter(names.SCOPE, self._version, self._schema)


def _make_instrument(meter: metrics.Meter, wanted: names.Instrument, name: str) -> Callable[..., None]:
    """Return what takes (values, attributes, context, offers) for a new instrument."""
    if wanted.kind == "histogram":
        histogram = meter.create_histogram(
            name, wanted.unit, wanted.description, explicit_bucket_boundaries_advisory=wanted.boundaries
        )
        return lambda values, attributes, context, offers: record_many(
            histogram, values, attributes, context, offers=offers
        )
    if wanted.kind == "gauge":
        gauge = meter.create_gauge(name, wanted.unit, wanted.description)
        return lambda values, attributes, context, _: gauge.set(values[-1], attributes, context)
    counter = meter.create_counter(name, wanted.unit, wanted.description)
    return lambda values, attributes, context, _: counter.add(sum(values), attributes, context)


# -- attributes ----------------------------------------------------------------------------------------------------


def _likeness(record: StreamRecord) -> tuple[Any, ...]:
    """Return what decides which feeds take a record, and under which attributes."""
    unknown = not record.chunks.at_ns, record.input_tokens is None, record.output_tokens is None, record.index is None
    return (*_whose(record), record.error_type, record.outcome, record.kind, record.token_source, *unknown)


def _attributes_for(record: StreamRecord, feed: Feed) -> dict[str, Any]:
    """Return the metric attributes of a record for one feed: those on the allow-list that it has. Not to be changed."""
    error = record.error_type or "_OTHER" if feed.with_error and record.outcome in ("error", "cancelled") else None
    return _attributes(*_whose(record), error, feed.extra)


def _whose(record: StreamRecord) -> tuple[str, str | None, str | None, str | None, str | None, int | None]:
    asked, where = (record.operation, record.provider, record.model), (record.server_address, record.server_port)
    return (*asked, record.response_model, *where)


@lru_cache(_MANY)
def _attributes(
    operation: str,
    provider: str | None,
    model: str | None,
    response_model: str | None,
    address: str | None,
    port: int | None,
    error: str | None,
    extra: tuple[tuple[str, str], ...],
) -> dict[str, Any]:
    found = {
        names.OPERATION_NAME: operation,
        names.PROVIDER_NAME: provider or names.UNKNOWN_PROVIDER,
        names.REQUEST_MODEL: model,
        names.RESPONSE_MODEL: response_model,
        names.SERVER_ADDRESS: address,
        names.SERVER_PORT: port if address is not None else None,
        names.ERROR_TYPE: error,
        **dict(extra),
    }
    return {name: value for name, value in found.items() if value is not None and name in names.METRIC_ATTRIBUTES}
