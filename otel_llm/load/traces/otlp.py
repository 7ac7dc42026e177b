"""Spans of model calls as the Collector's file exporter writes them: what an application asked is asked again.

A line is an OTLP message in JSON (`resourceSpans`). Of calls inside calls the innermost counts: a framework's span and
the client's below it, or the client's and the server's, are one request.
"""

from collections import defaultdict
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from otel_llm import conventions as names
from otel_llm.load.traces.call_order import Times, places_of
from otel_llm.load.traces.format import Part, TraceFormat
from otel_llm.load.traces.links import RowLinks
from otel_llm.load.traces.otlp_line import Array, Line, Span, Value
from otel_llm.load.traces.rows import Columns, Rows, check, each_line
from otel_llm.load.traces.trace import Trace
from otel_llm.record import CACHED

__all__ = ["OTLP"]

_INPUT: Final = (names.USAGE_INPUT_TOKENS, names.USAGE_PROMPT_TOKENS)
_OUTPUT: Final = (names.USAGE_OUTPUT_TOKENS, names.COUNTED_TOKENS, names.USAGE_COMPLETION_TOKENS)
_AGENT: Final = "invoke_agent"
_FRAMES: Final = (_AGENT, "create_agent", "execute_tool", "invoke_workflow")
"""Operations whose spans sum up the calls inside them."""


class _Call(NamedTuple):
    """What a span says of a request."""

    at_ns: int
    input_tokens: int
    output_tokens: int
    session: int


def _call(span: Span) -> _Call | None:
    """Return the request that a span is about; None of a span that is no call of a model."""
    said = span.said
    asked, answered = _count(said, _INPUT), _count(said, _OUTPUT)
    operation = _operation(span)
    flags = said.get(names.RECORD_FLAGS, Value()).array_value or Array()
    cached = any(flag.string_value == CACHED for flag in flags.values)
    if operation in _FRAMES or cached or (operation is None and not asked):
        return None
    conversation = said.get(names.CONVERSATION_ID, Value()).string_value or span.trace_id
    session = int.from_bytes(blake2b(conversation.encode(), digest_size=7).digest())
    return _Call(int(span.start_time_unix_nano), asked, answered, session)


def _operation(span: Span) -> str | None:
    return next((each.value.string_value for each in span.attributes if each.key == names.OPERATION_NAME), None)


def _count(said: dict[str, Value], keys: tuple[str, ...]) -> int:
    return next((int(value.int_value) for key in keys if (value := said.get(key)) and value.int_value is not None), 0)


class _Calls:
    """Collects the calls of a file, and which span is inside which."""

    def __init__(self) -> None:
        self._calls: dict[str, _Call] = {}
        self._spans: dict[str, Times] = {}

    def take(self, line: Line) -> None:
        for span in line.spans():
            me, above = span.trace_id + span.span_id, span.trace_id + span.parent_span_id
            began_ns, ended_ns = int(span.start_time_unix_nano), int(span.end_time_unix_nano)
            inside, is_agent = above if span.parent_span_id else None, _operation(span) == _AGENT
            self._spans[me] = Times(began_ns, max(began_ns, ended_ns), inside, is_agent)
            if (call := _call(span)) is not None:
                check(call.at_ns, call.input_tokens, call.output_tokens)
                check(ended_ns, 0, 0)
                self._calls[me] = call

    def innermost(self) -> list[str]:
        """Return the calls that have no other inside them."""
        outer = set[str]()
        for call in self._calls:
            above = self._spans[call].inside
            while above is not None and above not in outer:
                outer.add(above)
                above = self._spans[above].inside if above in self._spans else None
        return [call for call in self._calls if call not in outer]

    def rows(self) -> Rows:
        """Return the innermost calls, each with those of its session that it waited for."""
        calls = self.innermost()
        sessions = defaultdict[int, list[str]](list)
        for call in calls:
            sessions[self._calls[call].session].append(call)
        numbers = {call: number for number, call in enumerate(calls)}
        agents = dict[str | None, int]()
        found, keys, after, wait_ns, who = list[_Call](), list[int](), list[list[int]](), list[int](), list[int]()
        for each in sessions.values():
            for call, (before, agent) in places_of(self._spans, each).items():
                at_ns = self._calls[call].at_ns
                ended_ns = max((self._spans[other].ended_ns for other in before), default=at_ns)
                found.append(self._calls[call])
                keys.append(numbers[call])
                after.append([numbers[other] for other in before])
                wait_ns.append(at_ns - ended_ns)
                who.append(agents.setdefault(agent, len(agents)))
        times, inputs, outputs, belong = zip(*found, strict=True) if found else ((), (), (), ())
        return Rows(times, inputs, outputs, (), belong, RowLinks(keys, after, wait_ns, who))


def _read(path: Path, _: Part) -> Trace:
    calls, columns = _Calls(), Columns(path)
    each_line(path, Line, calls.take)
    columns.add(calls.rows())
    return columns.trace()


OTLP: Final = TraceFormat(
    "spans of model calls, by their start and `gen_ai.usage.*`",
    lambda head: head.columns == {"resourceSpans"},
    _read,
)
