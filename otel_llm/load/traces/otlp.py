"""Spans of model calls as the Collector's file exporter writes them: what an application asked is asked again.

A line is an OTLP message in JSON (`resourceSpans`). Of calls inside calls the innermost counts: a framework's span and
the client's below it, or the client's and the server's, are one request.
"""

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Final

from otel_llm import conventions as names
from otel_llm.load.traces.format import TraceFormat
from otel_llm.load.traces.otlp_line import Array, Line, Span, Value
from otel_llm.load.traces.rows import Columns, Row, each_line
from otel_llm.load.traces.trace import Trace
from otel_llm.record import CACHED

__all__ = ["OTLP"]

_INPUT: Final = (names.USAGE_INPUT_TOKENS, names.USAGE_PROMPT_TOKENS)
_OUTPUT: Final = (names.USAGE_OUTPUT_TOKENS, names.COUNTED_TOKENS, names.USAGE_COMPLETION_TOKENS)
_FRAMES: Final = ("invoke_agent", "create_agent", "execute_tool", "invoke_workflow")
"""Operations whose spans sum up the calls inside them."""


def _row(span: Span) -> Row | None:
    """Return the request that a span is about; None of a span that is no call of a model."""
    said = span.said
    asked, answered = _count(said, _INPUT), _count(said, _OUTPUT)
    operation = said.get(names.OPERATION_NAME, Value()).string_value
    flags = said.get(names.RECORD_FLAGS, Value()).array_value or Array()
    cached = any(flag.string_value == CACHED for flag in flags.values)
    if operation in _FRAMES or cached or (operation is None and not asked):
        return None
    conversation = said.get(names.CONVERSATION_ID, Value()).string_value or span.trace_id
    session = int.from_bytes(blake2b(conversation.encode(), digest_size=7).digest())
    return Row(int(span.start_time_unix_nano), asked, answered, session=session)


def _count(said: dict[str, Value], keys: tuple[str, ...]) -> int:
    return next((int(value.int_value) for key in keys if (value := said.get(key)) and value.int_value is not None), 0)


class _Calls:
    """Collects the calls of a file, and which span is inside which."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._parents: dict[str, str] = {}

    def take(self, line: Line) -> None:
        for span in line.spans():
            me = span.trace_id + span.span_id
            if span.parent_span_id:
                self._parents[me] = span.trace_id + span.parent_span_id
            if (row := _row(span)) is not None:
                self._rows[me] = row

    def innermost(self) -> Iterator[Row]:
        """Yield the calls that have no other inside them."""
        outer = set[str]()
        for call in self._rows:
            above = self._parents.get(call)
            while above is not None and above not in outer:
                outer.add(above)
                above = self._parents.get(above)
        return (row for call, row in self._rows.items() if call not in outer)


def _read(path: Path) -> Trace:
    calls, columns = _Calls(), Columns(path)
    each_line(path, Line, calls.take)
    for row in calls.innermost():
        columns.add(row)
    return columns.trace()


OTLP: Final = TraceFormat(
    "spans of model calls, by their start and `gen_ai.usage.*`",
    lambda head: head.columns == {"resourceSpans"},
    _read,
)
