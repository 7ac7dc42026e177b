"""Histograms that came as metrics: what each brought in each half minute, in the file, and all it brought, in memory.

A cumulative stream says every few seconds all that it ever counted. What came since the time before is kept, so that a
window of time has its own percentiles.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from opentelemetry.proto.metrics.v1.metrics_pb2 import ExponentialHistogramDataPoint, HistogramDataPoint

from otel_llm import conventions
from otel_llm.receiver.decode import ReceivedPoint
from otel_llm.receiver.histogram import ExplicitHistogram, ExponentialHistogram, read_histogram
from otel_llm.view.calls import CLIENT, SERVER, Group
from otel_llm.view.database import Database
from otel_llm.view.said import group_of

__all__ = ["MEASURES", "Arrived", "Exemplar", "Histograms"]

SLOT_S: Final = 30
_MOST_STREAMS: Final = 2_000
_EXEMPLARS: Final = 2_000

MEASURES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "first_token": (
        ("time_to_first_token", CLIENT), ("time_to_first_chunk", CLIENT), ("server_time_to_first_token", SERVER),
    ),
    "between_tokens": (
        ("inter_token_latency", CLIENT), ("time_per_output_chunk", CLIENT),
        ("server_inter_token_latency", SERVER), ("server_time_per_output_token", SERVER),
    ),
    "per_token": (("time_per_output_token", CLIENT), ("server_time_per_output_token", SERVER)),
    "duration": (
        ("operation_duration", CLIENT), ("embeddings_duration", CLIENT), ("server_request_duration", SERVER),
    ),
    "queue": (("server_queue_duration", SERVER),),
}  # fmt: skip
"""What is shown, by the instruments that say it and who sees it there; of several that came, the first is taken."""


def _instruments() -> Iterator[tuple[str, tuple[str, int, str]]]:
    for measure, wanted in MEASURES.items():
        for rank, (key, seen_by) in enumerate(wanted):
            for name in conventions.instrument(key).names((conventions.V1_41, conventions.LATEST)):
                yield name, (measure, rank, seen_by)


_INSTRUMENTS: Final[dict[str, list[tuple[str, int, str]]]] = {}
for _name, _shown in _instruments():
    _INSTRUMENTS.setdefault(_name, []).append(_shown)

AnyHistogram = ExplicitHistogram | ExponentialHistogram


class Arrived(NamedTuple):
    """A histogram of one measure and one group; failed: whether it is of calls that failed."""

    measure: str
    name: str
    rank: int
    group: Group
    failed: bool
    slot: int
    histogram: AnyHistogram


class Exemplar(NamedTuple):
    """A single value of a measure, s, with the trace that it was made in."""

    measure: str
    group: Group
    value: float
    at_ns: int
    trace_id: str


class _Stream:
    """A stream and all that came of it."""

    __slots__ = ("attributes", "id", "name", "resource", "total")

    def __init__(self, number: int, name: str, attributes: Mapping[str, Any], resource: Mapping[str, Any]) -> None:
        self.id, self.name, self.attributes, self.resource = number, name, attributes, resource
        self.total: AnyHistogram | None = None


class Histograms:
    """The histograms of a database. Every method may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._streams: dict[str, _Stream] = {}
        self._by_id: dict[int, _Stream] = {}
        self._exemplars: deque[Exemplar] = deque(maxlen=_EXEMPLARS)
        for number, key, name, attributes, resource in database.read("SELECT * FROM stream"):
            self._keep(key, _Stream(number, name, msgspec.json.decode(attributes), msgspec.json.decode(resource)))
        for each, _, histogram in self._rows(0):
            each.total = histogram if each.total is None else _sum(each.total, histogram)

    def take(self, point: ReceivedPoint, kept_at: int) -> None:
        """Take a data point; one of an instrument that is not shown is left."""
        if point.histogram is None or point.name not in _INSTRUMENTS:
            return
        with self._db.lock:
            stream = self._stream_of(point)
            if stream is None:
                return
            new: Any = point.histogram
            if not point.delta and isinstance(stream.total, type(new)):
                new = new.since(stream.total)
            if new.count:
                self._add(stream, new, max(point.time_unix_ns // 10**9, 0) // SLOT_S * SLOT_S, kept_at)
            self._take_exemplars(stream, point)

    def _add(self, stream: _Stream, new: Any, slot: int, kept_at: int) -> None:
        place = (stream.id, slot)
        found = self._db.read("SELECT exponential, point FROM histogram WHERE stream = ? AND slot = ?", place)
        merged = _sum(_decoded(*found[0]), new) if found else new
        stream.total = new.copy() if stream.total is None else _sum(stream.total, new)
        self._db.write(
            "INSERT OR REPLACE INTO histogram (stream, slot, exponential, point, kept_at) VALUES (?, ?, ?, ?, ?)",
            (*place, isinstance(merged, ExponentialHistogram), merged.to_point().SerializeToString(), kept_at),
        )

    def _take_exemplars(self, stream: _Stream, point: ReceivedPoint) -> None:
        for each in point.exemplars:
            if each.trace_id:
                for measure, _, seen_by in _INSTRUMENTS[stream.name]:
                    group = group_of(stream.attributes, stream.resource, seen_by)
                    made = Exemplar(measure, group, each.value, each.time_unix_ns, f"{each.trace_id:032x}")
                    self._exemplars.append(made)

    def look(self, since_s: int | None) -> list[Arrived]:
        """Return what arrived since a moment (Unix time), one per stream and slot; None: all of it, one per stream."""
        with self._db.lock:
            if since_s is None:
                found = [(each, 0, each.total.copy()) for each in self._by_id.values() if each.total is not None]
            else:
                found = list(self._rows(since_s - SLOT_S))
        return [
            Arrived(measure, stream.name, rank, group_of(stream.attributes, stream.resource, seen_by),
                    conventions.ERROR_TYPE in stream.attributes, slot, histogram)
            for stream, slot, histogram in found
            for measure, rank, seen_by in _INSTRUMENTS[stream.name]
        ]  # fmt: skip

    def groups(self) -> set[Group]:
        """Return the groups of what came."""
        with self._db.lock:
            return {
                group_of(stream.attributes, stream.resource, seen_by)
                for stream in self._by_id.values()
                for _, _, seen_by in _INSTRUMENTS[stream.name]
            }

    def since(self) -> int | None:
        """Return when the first of what is kept came, Unix time in s; None of nothing."""
        ((found,),) = self._db.read("SELECT min(slot) FROM histogram")
        return None if found is None else int(found)

    def exemplars(self) -> list[Exemplar]:
        """Return single values with their traces, oldest first."""
        with self._db.lock:
            return list(self._exemplars)

    def _rows(self, since_s: int) -> Iterator[tuple[_Stream, int, AnyHistogram]]:
        query = "SELECT stream, slot, exponential, point FROM histogram WHERE slot >= ?"
        for number, slot, exponential, point in self._db.read(query, (since_s,)):
            if number in self._by_id:
                yield self._by_id[number], slot, _decoded(exponential, point)

    def _stream_of(self, point: ReceivedPoint) -> _Stream | None:
        began = 0 if point.delta else point.start_unix_ns  # a program that starts again begins a new stream
        told_apart = (point.name, point.scope, point.attributes, point.resource, began)
        key = msgspec.json.encode(told_apart, order="sorted").decode()
        stream = self._streams.get(key)
        if stream is None and len(self._streams) < _MOST_STREAMS:
            texts = [msgspec.json.encode(each).decode() for each in (point.attributes, point.resource)]
            number = self._db.write(
                "INSERT INTO stream (stream, name, attributes, resource) VALUES (?, ?, ?, ?)", (key, point.name, *texts)
            )
            stream = self._keep(key, _Stream(number, point.name, point.attributes, point.resource))
        return stream

    def _keep(self, key: str, stream: _Stream) -> _Stream:
        self._streams[key] = self._by_id[stream.id] = stream
        return stream


def _decoded(exponential: bool, point: bytes) -> AnyHistogram:
    message: Any = ExponentialHistogramDataPoint if exponential else HistogramDataPoint
    return read_histogram(message.FromString(point))


def _sum(one: Any, more: Any) -> AnyHistogram:
    """Return both as one; the second alone where its buckets are others, which begins the stream anew."""
    try:
        return one.add(more)  # type: ignore[no-any-return]
    except (ValueError, AttributeError):
        return more.copy()  # type: ignore[no-any-return]
