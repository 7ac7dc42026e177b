"""Which numbers of a record go to which instrument: one table, read from top to bottom.

A stream that failed feeds durations only, with `error.type`: its partial timings would make a server look better. One
that was closed early, abandoned or cancelled feeds the latencies too when the application decided so; in a load run,
whose requests are known by their number, it did not end as planned and feeds none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from otel_llm import conventions as names
from otel_llm import measures
from otel_llm.measures import Facts
from otel_llm.record import StreamRecord

__all__ = ["FEEDS", "Feed", "attributes", "likeness"]

Floats = NDArray[np.float64]
Values = Sequence[float] | Floats


@dataclass(frozen=True, slots=True)
class Feed:
    """One row: the instrument's key in `conventions`, the values a record has for it, and which records feed it."""

    instrument: str
    values: Callable[[Facts], Values]
    takes: Callable[[StreamRecord], bool]
    with_error: bool = False
    extra: tuple[tuple[str, str], ...] = ()


def _always(_: StreamRecord) -> bool:
    return True


def _timed(record: StreamRecord) -> bool:
    return record.ok or (record.index is None and record.outcome != "error")


def _in_process(record: StreamRecord) -> bool:
    return record.kind == "internal" and record.index is None


def _served(record: StreamRecord) -> bool:
    return record.ok and _in_process(record)


def _billed(record: StreamRecord) -> bool:
    """Tokens that were made up from chunks are no usage."""
    return record.token_source != "chunks"


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


_UNSPLIT: Final = ((names.TOKEN_MODALITY, "unknown"),)

FEEDS: Final = (
    Feed("operation_duration", _one(measures.request_latency), _always, with_error=True),
    Feed("time_to_first_chunk", _known("time_to_first_chunk"), _timed),
    Feed("time_per_output_chunk", lambda facts: facts.inter_chunk_latencies, _timed),
    Feed("token_usage", _one(_input), _billed, extra=((names.TOKEN_TYPE, "input"),)),
    Feed("token_usage", _one(_output), _billed, extra=((names.TOKEN_TYPE, "output"),)),
    Feed("usage_input_tokens", _or_zero(_input), _billed, extra=_UNSPLIT),
    Feed("usage_output_tokens", _or_zero(_output), _billed, extra=_UNSPLIT),
    Feed("usage_cached_tokens", _one(lambda record: record.cached_tokens), _billed, extra=_UNSPLIT),
    Feed("usage_reasoning_tokens", _one(lambda record: record.reasoning_tokens), _billed, extra=_UNSPLIT),
    Feed("operation_input_tokens", _one(_input), _billed, with_error=True),
    Feed("operation_output_tokens", _one(_output), _billed, with_error=True),
    Feed("server_request_duration", _one(measures.request_latency), _in_process, with_error=True),
    Feed("server_time_to_first_token", _known("time_to_first_token"), _served),
    Feed("server_time_per_output_token", _one(measures.server_time_per_output_token), _served),
    Feed("time_to_first_token", _known("time_to_first_token"), _timed),
    Feed("inter_token_latency", lambda facts: facts.inter_token_latencies, _timed),
    Feed("time_per_output_token", _known("time_per_output_token"), _timed),
    Feed("max_inter_token_latency", _known("max_inter_token_latency"), _timed),
    Feed("output_throughput", _one(measures.output_throughput), _timed),
    Feed("queue_delay", _one(measures.queue_delay), _load),
    Feed("load_requests", lambda _: (1,), _load, with_error=True),
)


def likeness(record: StreamRecord) -> tuple[Any, ...]:
    """Return what decides which feeds take a record, and under which attributes."""
    error, outcome, index = record.error_type, record.outcome, record.index
    return (*_whose(record), error, outcome, record.kind, record.token_source, index is None)


def attributes(record: StreamRecord, feed: Feed) -> dict[str, Any]:
    """Return the metric attributes of a record for one feed: those on the allow-list that it has. Not to be changed."""
    error = record.error_type or "_OTHER" if feed.with_error and record.outcome in ("error", "cancelled") else None
    return _attributes(*_whose(record), error, feed.extra)


def _whose(record: StreamRecord) -> tuple[str, str | None, str | None, str | None, str | None, int | None]:
    asked, where = (record.operation, record.provider, record.model), (record.server_address, record.server_port)
    return (*asked, record.response_model, *where)


@lru_cache(4096)
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
    return {name: value for name, value in found.items() if value is not None}
