"""What OTLP brought: takes it, keeps it in the file and has its calls at hand."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from otel_llm import conventions
from otel_llm.clock import SYSTEM, now_ns
from otel_llm.receiver.decode import ReceivedEvent, ReceivedSpan, points_of, spans_of
from otel_llm.view.calls import Calls
from otel_llm.view.database import Database
from otel_llm.view.engines import Engines
from otel_llm.view.histograms import Histograms
from otel_llm.view.said import call_of
from otel_llm.view.source import KeptSpan

__all__ = ["Store"]

_COLUMNS: Final = (
    "key, trace_id, span_id, parent_span_id, name, kind, start_ns, end_ns, status, status_message, scope, said"
)
_PART: Final = 500
_LARGEST: Final = 2**63 - 1
_RUN_INFO: Final = conventions.instrument("run_info").names((conventions.V1_41,))


class Store:
    """A source, and what an OTLP server gives to. Every method may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.path = database.path
        self.calls = Calls()
        self.histograms = Histograms(database)
        self.engines = Engines()
        self.runs: dict[str, Mapping[str, Any]] = {
            number: msgspec.json.decode(said) for number, said in database.read("SELECT id, said FROM run")
        }
        self.spans = self.points = 0
        """How many came since it was opened."""
        self.latest_ns = 0
        """When something last came, on the monotonic clock; 0 for never."""
        self._load()

    def take_spans(self, batch: Iterable[ResourceSpans]) -> None:
        """Take the spans of an OTLP request."""
        now = SYSTEM.wall_ns(now_ns()) // 10**9
        with self._db.lock:
            for span in spans_of(batch):
                key = self._db.write(
                    "INSERT INTO span VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*_row(span), now)
                )
                self._add(span, key)
                self.spans += 1
                if self.spans % _PART == 0:  # a request may be as large as the file
                    self._db.commit(now=True)
            self.latest_ns = now_ns()
        self._db.commit()

    def take_metrics(self, batch: Iterable[ResourceMetrics]) -> None:
        """Take the data points of an OTLP request."""
        now = SYSTEM.wall_ns(now_ns()) // 10**9
        with self._db.lock:
            for point in points_of(batch):
                self.histograms.take(point, now)
                self.engines.take(point)
                if point.name in _RUN_INFO:
                    self._take_run(point.attributes)
                self.points += 1
            self.latest_ns = now_ns()
        self._db.commit()

    def refresh(self) -> None:
        """Put on disk what waits for it."""
        self._db.commit()

    def read(self, key: int) -> KeptSpan | None:
        """Return a span by its key; None when it is not kept any more."""
        found = self._db.read(f"SELECT {_COLUMNS} FROM span WHERE key = ?", (key,))  # noqa: S608
        return KeptSpan(_span(found[0])) if found else None

    def trace(self, trace_id: str) -> list[KeptSpan]:
        """Return the spans of a trace, at most a few thousand."""
        query = f"SELECT {_COLUMNS} FROM span WHERE trace_id = ? ORDER BY start_ns LIMIT 5000"  # noqa: S608
        return [KeptSpan(_span(row)) for row in self._db.read(query, (trace_id,))]

    def _add(self, span: ReceivedSpan, key: int) -> None:
        call = call_of(span)
        if call is not None:
            self.calls.add(call, key)

    def _take_run(self, said: Mapping[str, Any]) -> None:
        number = str(said.get(conventions.RUN_ID) or "")
        if number:
            run = {
                "name": said.get(conventions.RUN_NAME),
                "mode": said.get(conventions.RUN_MODE),
                "limited": said.get(conventions.CLIENT_LIMITED),
            }
            before = self.runs.get(number, {})
            self.runs[number] = {**before, **{name: value for name, value in run.items() if value is not None}}
            text = msgspec.json.encode(self.runs[number]).decode()
            self._db.write("INSERT OR REPLACE INTO run VALUES (?, ?)", (number, text))

    def _load(self) -> None:
        """Have the calls of the file at hand again."""
        after = 0
        query = f"SELECT {_COLUMNS} FROM span WHERE key > ? ORDER BY key LIMIT 1000"  # noqa: S608
        while rows := self._db.read(query, (after,)):
            for row in rows:
                self._add(_span(row), row[0])
            after = rows[-1][0]


def _row(span: ReceivedSpan) -> tuple[Any, ...]:
    said = {
        "attributes": span.attributes,
        "resource": span.resource,
        "events": [[each.name, each.at_unix_ns, each.attributes] for each in span.events],
    }
    return (
        f"{span.trace_id:032x}",
        f"{span.span_id:016x}",
        f"{span.parent_span_id:016x}" if span.parent_span_id else None,
        span.name,
        span.kind,
        min(span.start_unix_ns, _LARGEST),
        min(span.end_unix_ns, _LARGEST),
        span.status,
        span.status_message,
        span.scope,
        msgspec.json.encode(said).decode(),
    )


def _span(row: tuple[Any, ...]) -> ReceivedSpan:
    _, trace_id, span_id, parent, name, kind, start_ns, end_ns, status, message, scope, text = row
    said = msgspec.json.decode(text)
    return ReceivedSpan(
        name,
        int(trace_id, 16),
        int(span_id, 16),
        int(parent or "0", 16),
        kind,
        start_ns,
        end_ns,
        status,
        said["attributes"],
        said["resource"],
        scope,
        message,
        tuple(ReceivedEvent(*each) for each in said["events"]),
    )
