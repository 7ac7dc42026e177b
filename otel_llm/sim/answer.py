"""An answer as a list of writes: which bytes leave when. Pure: no socket and no clock.

`_events` yields what an answer consists of, `stream_writes` groups and cuts it and frames it as HTTP. Both are lazy, so
that the work for a long answer is spread over its time and does not delay other answers.
"""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Final

import orjson

from otel_llm.sim.formats import Format
from otel_llm.sim.schedule import to_ns, token_times
from otel_llm.sim.writes import Write, error_body, http_head, plain_reply

__all__ = ["error_writes", "stream_writes", "whole_writes"]

_Event = tuple[int, bytes | None, int, int, int]
"""(due, bytes, tokens so far, events in these bytes, what is to happen to the write it goes into)."""

_WAIT: Final = 0  # for as many events as go into one write
_FLUSH: Final = 1
_LAST: Final = 2


def error_writes(answer: Format, status: int, request_id: str, *, close: bool) -> Iterator[Write]:
    """Return the one write of an injected HTTP error, or of an error in its place."""
    behaviour, body = answer.behaviour, error_body("injected fault", "injected", status)
    reply = plain_reply(body, request_id, status=status, close=close, retry_after=behaviour.retry_after)
    if not answer.over_http:
        reply = answer.frame(orjson.dumps(answer.refusal("injected fault", "injected", status)))
    yield max(0, to_ns(behaviour.header_ms)), reply, 0, 0


def whole_writes(answer: Format, request_id: str, fault: str, *, close: bool) -> Iterator[Write]:
    """Return the one write of an answer that is not streamed. It is due with the answer's last token."""
    question, behaviour = answer.question, answer.behaviour
    tokens = question.tokens if answer.generates else 0
    due = next(islice(token_times(behaviour, request_id), max(tokens - 1, 0), None))
    body: bytes = answer.whole(tokens, question.finish)
    tokens *= answer.answers
    if fault == "disconnect":
        yield due, None, 0, 0
        return
    if fault == "error":
        tokens, body = 0, error_body("injected error", "server_error", 500)
        body = body if answer.over_http else orjson.dumps(answer.failure("injected error"))
    elif fault == "badjson":
        tokens, body = 0, body[: len(body) // 2]
    elif fault == "stall":
        due += to_ns(behaviour.stall_ms)
    yield due, plain_reply(body, request_id, close=close) if answer.over_http else answer.frame(body), tokens, 1


def stream_writes(answer: Format, request_id: str, fault: str, *, chunked: bool, close: bool) -> Iterator[Write]:
    """Return the writes of a streamed answer, in order of time.

    chunked: each write is one HTTP chunk; otherwise the connection's end is the answer's, where it goes over HTTP
    """
    behaviour = answer.behaviour
    more = ("Transfer-Encoding: chunked\r\n" if chunked else "") + ("Connection: close\r\n" if close else "")
    head = http_head("200 OK", answer.content_type, request_id, "Cache-Control: no-cache\r\n" + more)
    chunked, head = chunked and answer.over_http, head if answer.over_http else b""
    if behaviour.header_ms >= 0 and head:
        yield to_ns(behaviour.header_ms), head, -1, 0
        head = b""
    latest = max(0, to_ns(behaviour.header_ms))
    gap, frame = to_ns(behaviour.split_gap_ms), _chunk if chunked else _bare
    framed: dict[bytes, bytes] = {}
    for due, data, tokens, events, last in _grouped(_events(answer, request_id, fault), behaviour.ev_per_write):
        latest = max(latest, due)
        if data is None:
            yield latest, None, tokens, events
            return
        if behaviour.split == 1 and not head and not last:  # the usual one: the same bytes as those before it
            ready = framed.get(data)
            if ready is None:
                ready = frame(data)
                if len(framed) < 8:
                    framed[data] = ready
            yield latest, ready, tokens, events
            continue
        for i, piece in enumerate(pieces := _cut(data, behaviour.split)):
            latest += gap if i else 0
            end = b"0\r\n\r\n" if last and chunked and i == len(pieces) - 1 else b""
            yield latest, head + (frame(piece) if piece else b"") + end, tokens, events
            head = b""


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _bare(data: bytes) -> bytes:
    return data


def _cut(data: bytes, parts: int) -> list[bytes]:
    size = len(data)
    return [data[size * i // parts : size * (i + 1) // parts] for i in range(parts)]


def _grouped(events: Iterator[_Event], group: int) -> Iterator[tuple[int, bytes | None, int, int, bool]]:
    """Yield (due, bytes, tokens so far, events so far, whether it is the last) for each write."""
    pending: list[bytes] = []
    total = waiting = 0
    for due, data, tokens, count, end in events:
        if data is None:
            yield due, None, tokens, total, True
            return
        total += count
        waiting += count
        if data:
            pending.append(data)
        if (waiting >= group or end) and (pending or end == _LAST):
            yield due, pending[0] if len(pending) == 1 else b"".join(pending), tokens, total, end == _LAST
            pending.clear()
            waiting = 0


def _events(answer: Format, request_id: str, fault: str) -> Iterator[_Event]:
    """Yield the events of a streamed answer, in the order in which they leave."""
    question, behaviour, want = answer.question, answer.behaviour, answer.question.tokens
    times = token_times(behaviour, request_id)
    first = next(times)
    times = chain((first,), times)
    for i in range(behaviour.comments if answer.comment() else 0):
        yield first * (i + 1) // (behaviour.comments + 1), answer.comment(), 0, 0, _FLUSH
    size = min(behaviour.tok_per_event, want)
    due, before, floor, done = _last(times, size), 0, 0, 0
    early, count = answer.begin()
    if early:
        yield due if behaviour.role_ms < 0 else to_ns(behaviour.role_ms), early, 0, count, _FLUSH
    while True:
        if fault and done <= behaviour.fault_at < done + size:
            yield before, b"", done, 0, _FLUSH
            if fault == "stall":
                floor = before + to_ns(behaviour.stall_ms)
            else:
                yield _broken(fault, before, done, answer)
                if fault in ("disconnect", "error"):
                    return
        thought = done < behaviour.reasoning
        done += size
        over = done == want
        before = max(due, floor)
        event, count = answer.text(size, done, thought=thought, finish=question.finish if over else None)
        yield before, event, done, count, _FLUSH if over else _WAIT
        if over:
            break
        size = min(behaviour.tok_per_event, want - done)
        due = next(times) if size == 1 else _last(times, size)
    yield before, *_tail(answer, done, question.finish), _LAST


def _last(times: Iterator[int], count: int) -> int:
    for _ in range(count - 1):
        next(times)
    return next(times)


def _tail(answer: Format, tokens: int, finish: str) -> tuple[bytes, int, int]:
    data, events = answer.tail(tokens, finish)
    return data, tokens, events


def _broken(fault: str, due: int, tokens: int, answer: Format) -> _Event:
    if fault == "badjson":
        return due, answer.bad_json(), tokens, 1, _WAIT
    if fault == "error":
        return due, answer.stream_error(), tokens, 1, _LAST
    return due, None, tokens, 0, _LAST
