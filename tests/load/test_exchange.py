"""One request and its answer, from bytes to a record, on every way it can end. No network: bytes are handed in."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from otel_llm import measures
from otel_llm.load.coordinator.reckoning import Reckoning
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.worker.exchange import Exchange
from otel_llm.load.worker.raw import Raw
from otel_llm.record import StreamRecord
from otel_llm.wire.arrivals import Arrivals
from otel_llm.wire.connection import note_reads
from otel_llm.wire.protocol import Ask, Delta, Protocol
from otel_llm.wire.repeats import Content
from otel_llm.wire.target import Target
from otel_llm_plugins.anthropic_messages import AnthropicMessages
from otel_llm_plugins.ollama_chat import OllamaChat
from otel_llm_plugins.openai_chat import OpenAIChat
from otel_llm_plugins.openai_completions import OpenAICompletions

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


def event(delta: str = "", *, finish: str = "null", usage: str = "null") -> bytes:
    choices = f'[{{"index":0,"delta":{{{delta}}},"finish_reason":{finish}}}]' if delta or finish != "null" else "[]"
    return f'data: {{"id":"c","model":"m-1","choices":{choices},"usage":{usage}}}\n\n'.encode()


ROLE = event('"role":"assistant","content":""')
HELLO = event('"content":"Hello"')
WORLD = event('"content":" world"')
STOP = event('"content":""', finish='"stop"')
USAGE = event(usage='{"prompt_tokens":5,"completion_tokens":2}')
ERROR = b'data: {"error":{"message":"no","type":"oom"}}\n\n'
DONE = b"data: [DONE]\n\n"


PLAN = LoadPlan(
    target=Target.parse("http://h/v1/chat/completions"), protocol=OpenAIChat, model="m", number=1,
    requests=(OpenAIChat.encode(Ask(model="m", messages=[])),),
)  # fmt: skip
SENT, GAP = 1_000_000_000, 10_000_000


class Wire:
    """A connection's end of an exchange; every read comes 10 ms after the one before."""

    def __init__(
        self,
        plugin: type[Protocol] = OpenAIChat,
        *,
        stream: bool = True,
        finish_reason: bool = True,
        kept: bool = False,
    ) -> None:
        self.plan = replace(PLAN, protocol=plugin, stream=stream)
        self.raw = Raw(0, sent_ns=SENT, content=Content())
        self.done = 0
        self.arrivals = Arrivals()
        self.exchange = Exchange(self.raw, plugin(), self._done, stream=stream, finish_reason=finish_reason, kept=kept)

    def _done(self) -> None:
        self.done += 1

    def read(self, *reads: bytes) -> "Wire":
        for data in reads:
            self.together(data)
        return self

    def together(self, *reads: bytes) -> "Wire":
        """Reads that were held back, and are handed on at once."""
        for _ in reads:
            note_reads(self.arrivals, (SENT + (self.arrivals.count + 1) * GAP,))
        self.exchange.received(reads, self.arrivals)
        return self

    @property
    def record(self) -> StreamRecord:
        assert self.done == 1
        (item,) = Reckoning(self.plan).reckon([self.raw])
        return item.record

    @property
    def events(self) -> list[bytes]:
        assert self.raw.content is not None
        return self.raw.content.events()


def test_a_whole_answer() -> None:
    wire = Wire().read(HEAD + chunk(ROLE), chunk(HELLO), chunk(WORLD), chunk(STOP) + chunk(USAGE), chunk(DONE) + END)
    record = wire.record
    assert record.outcome == "complete"
    assert [record.status, record.finish_reasons, record.response_model] == [200, ("stop",), "m-1"]
    assert [record.input_tokens, record.output_tokens, record.token_source] == [5, 2, "provider"]
    assert measures.time_to_first_chunk(record) == pytest.approx(0.01)
    assert measures.time_to_first_token(record) == pytest.approx(0.02)
    assert measures.inter_token_latencies(record) == pytest.approx([0.01])
    assert len(record.chunks) == 5  # [DONE] is none
    assert measures.request_latency(record) == pytest.approx(0.05)
    assert wire.exchange.reusable
    assert [event.strip() for event in (ROLE, HELLO, WORLD, STOP, USAGE, DONE)] == [b"data: " + e for e in wire.events]


WHOLE = HEAD + chunk(ROLE) + chunk(HELLO) + chunk(WORLD) + chunk(STOP) + chunk(USAGE) + chunk(DONE) + END


def test_the_same_answer_at_every_split_point() -> None:
    for cut in range(1, len(WHOLE)):
        record = Wire().read(WHOLE[:cut], WHOLE[cut:]).record
        assert (record.outcome, list(record.chunks.kind), record.output_tokens) == ("complete", [0, 1, 1, 0, 4], 2)


def test_several_chunks_in_a_read_share_its_arrival_and_its_number() -> None:
    record = Wire().read(HEAD + chunk(HELLO) + chunk(WORLD), chunk(STOP + USAGE + DONE) + END).record
    assert list(record.chunks.read) == [1, 1, 2, 2]
    assert measures.inter_token_latencies(record) == pytest.approx([0])


def test_the_answer_ends_at_its_end_marker_not_when_the_body_does() -> None:
    wire = Wire().read(HEAD + chunk(HELLO) + chunk(STOP), chunk(DONE))
    assert not wire.done
    record = wire.read(END).record
    assert measures.request_latency(record) == pytest.approx(0.02)


def test_a_missing_done_is_no_failure() -> None:
    assert Wire().read(HEAD + chunk(HELLO), chunk(STOP) + END).record.ok


def test_a_body_that_ends_with_its_connection() -> None:
    wire = Wire().read(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + HELLO + STOP)
    wire.exchange.lost(None)
    assert wire.record.ok
    assert not wire.exchange.reusable


@pytest.mark.parametrize(
    ("reads", "kind"),
    [
        ([HEAD + chunk(HELLO), END], "no_finish"),
        ([HEAD, END], "no_finish"),
        ([HEAD + chunk(b'data: {"choices":[{"del\n\n')], "bad_event"),
        ([HEAD + chunk(b'data: {"choices": 5}\n\n')], "bad_event"),
        (
            [HEAD + chunk(HELLO), chunk(ERROR) + END],
            "stream_error",
        ),
        ([b"HTTP/1.1 429 Slow\r\nContent-Length: 4\r\n\r\n", b"busy"], "429"),
        ([b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"], "503"),
        ([b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"], "302"),
        ([b"SSH-2.0-OpenSSH_9\r\n"], "bad_http"),
    ],
)
def test_failures_by_kind(reads: list[bytes], kind: str) -> None:
    record = Wire().read(*reads).record
    assert (record.outcome, record.error_type) == ("error", kind)


def test_an_error_keeps_what_had_arrived_and_what_the_server_said() -> None:
    record = Wire().read(HEAD + chunk(HELLO), chunk(ERROR) + END).record
    assert record.error_message == "oom: no"
    assert measures.time_to_first_token(record) == pytest.approx(0.01)
    record = Wire().read(b"HTTP/1.1 429 Slow\r\nContent-Length: 4\r\n\r\nbusy").record
    assert record.error_message == "busy"


@pytest.mark.parametrize("error", [None, ConnectionResetError("reset")])
def test_a_cut_answer_is_a_disconnect(error: Exception | None) -> None:
    wire = Wire().read(HEAD + chunk(HELLO))
    wire.exchange.lost(error)
    assert wire.record.error_type == "disconnect"
    assert len(wire.record.chunks) == 1


def test_a_connection_lost_after_the_end_marker_is_no_failure() -> None:
    wire = Wire().read(HEAD + chunk(HELLO) + chunk(STOP) + chunk(DONE))
    wire.exchange.lost(ConnectionResetError())
    assert wire.record.ok


def test_whatever_comes_after_the_end_changes_nothing() -> None:
    wire = Wire().read(WHOLE)
    first = wire.record
    wire.exchange.lost(None)
    wire.exchange.fail("read_timeout", "late")
    wire.exchange.cancel()
    wire.exchange.finish()
    wire.read(chunk(HELLO))
    assert wire.record == first


def test_an_interrupted_request_keeps_its_marks() -> None:
    wire = Wire().read(HEAD + chunk(HELLO))
    wire.exchange.cancel()
    assert (wire.record.outcome, wire.record.error_type, len(wire.record.chunks)) == ("cancelled", "interrupted", 1)


def test_an_answer_that_was_not_streamed() -> None:
    body = (
        b'{"id":"c","model":"m","choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":3,"completion_tokens":4}}'
    )
    wire = Wire(stream=False)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    record = wire.read(head + body[:30], body[30:]).record
    assert (record.ok, record.output_tokens, record.input_tokens) == (True, 4, 3)
    assert measures.time_to_first_token(record) is None


def test_usage_with_every_chunk_says_how_many_tokens_each_brought() -> None:
    reads = [
        event(f'"content":"{text}"', usage=f'{{"prompt_tokens":5,"completion_tokens":{so_far}}}')
        for text, so_far in (("a", 1), ("bcd", 4), ("e", 6))
    ]
    record = Wire().read(HEAD + chunk(reads[0]), chunk(reads[1]), chunk(reads[2]) + chunk(STOP) + END).record
    assert list(record.chunks.tokens) == [1, 3, 2, 0]
    assert record.flags == ()


def test_text_completions() -> None:
    events = b'data: {"choices":[{"text":"a","finish_reason":null}]}\n\n'
    events += b'data: {"choices":[{"text":"b","finish_reason":"length"}]}\n\n'
    record = Wire(OpenAICompletions).read(HEAD + chunk(events) + END).record
    assert (record.ok, record.output_tokens, record.finish_reasons) == (True, 2, ("length",))


def test_a_plugin_that_breaks_fails_its_request_and_nothing_else() -> None:
    class Broken(OpenAIChat):
        def decode(self, event: bytes) -> tuple[int, str, int] | None:
            raise KeyError(event)

    assert Wire(Broken).read(HEAD + chunk(HELLO)).record.error_type == "plugin_error"


# -- reads that come together ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokens", [2.0, -1, True, 10_000, "2", None])
def test_a_plugin_whose_count_of_tokens_is_none_has_said_nothing_of_it(tokens: object) -> None:
    class Odd(OpenAIChat):
        def decode(self, event: bytes) -> Delta | None:
            delta = super().decode(event)
            return delta and (delta[0], delta[1], tokens)  # type: ignore[return-value]

    reads = HEAD, *map(chunk, (ROLE, HELLO, WORLD, STOP, DONE)), END
    odd, plain = Wire(Odd).read(*reads).record, Wire().read(*reads).record
    assert (odd.outcome, odd.chunks, odd.output_tokens) == ("complete", plain.chunks, plain.output_tokens)


def test_reads_that_come_together_keep_their_moments_and_their_numbers() -> None:
    wire = Wire().read(HEAD + chunk(ROLE), chunk(HELLO)).together(*[chunk(HELLO)] * 4)
    record = wire.read(chunk(WORLD), chunk(STOP), chunk(DONE) + END).record
    assert list(record.chunks.read) == [*range(1, 9)]
    assert measures.time_to_first_token(record) == pytest.approx(0.02)
    assert measures.inter_token_latencies(record) == pytest.approx([0.01] * 5)


@pytest.mark.parametrize("plugin", [OpenAIChat, OpenAICompletions, AnthropicMessages, OllamaChat])
@pytest.mark.parametrize("cut", range(1, 12))
def test_together_or_one_by_one_is_the_same(plugin: type[Protocol], cut: int) -> None:
    """Every protocol's own case, each event a chunk, some texts with what JSON escapes, and one read with two."""
    events = [chunk(event) for event in cases(plugin)]
    events[5] += events.pop(6)
    head = HEAD if plugin is not OllamaChat else HEAD.replace(b"text/event-stream", b"application/x-ndjson")
    reads = [head, *events, END]
    alone, together = Wire(plugin).read(*reads), Wire(plugin)
    for start in range(0, len(reads), cut):
        together.together(*reads[start : start + cut])
    assert together.record == alone.record
    assert together.events == alone.events
    assert alone.record.ok
    assert len(alone.record.chunks) > 12


def cases(plugin: type[Protocol]) -> list[bytes]:
    """Return the events of an answer as they come, its texts with quotes, line ends and letters of many bytes."""
    texts = ["Hello", " world", '"', "\n", " é", "漢字", "\u2028", "", " a\\b", "Hello", "m", "\x7f", " x", "</s>"]
    words = [json.dumps(text, ensure_ascii=i % 2 == 0) for i, text in enumerate(texts * 2)]
    if plugin is OpenAIChat:
        return [ROLE, *(event(f'"content":{word}') for word in words), STOP, USAGE, DONE]
    if plugin is OpenAICompletions:
        pieces = [f'{{"id":"c","model":"m","choices":[{{"text":{word},"finish_reason":null}}]}}' for word in words]
        pieces += ['{"id":"c","model":"m","choices":[{"text":"","finish_reason":"stop"}]}', "[DONE]"]
    elif plugin is AnthropicMessages:
        pieces = [
            f'{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":{word}}}}}'
            for word in words
        ]
        pieces += ['{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}']
        pieces += ['{"type":"message_stop"}']
    else:
        lines = [f'{{"model":"m","message":{{"role":"assistant","content":{word}}},"done":false}}' for word in words]
        lines += ['{"model":"m","message":{"content":""},"done":true,"done_reason":"stop","eval_count":9}']
        return [f"{line}\n".encode() for line in lines]
    return [f"data: {piece}\n\n".encode() for piece in pieces]


@pytest.mark.parametrize(
    "unlike", [HELLO, event('"reasoning_content":"Hm"'), event('"content":"a","refusal":"b"'), STOP]
)
@pytest.mark.parametrize("place", range(6))
def test_one_unlike_the_others_is_understood_in_its_place(unlike: bytes, place: int) -> None:
    reads = [chunk(WORLD)] * 6
    reads[place] = chunk(unlike)
    alone = Wire().read(HEAD + chunk(ROLE), chunk(HELLO), *reads, chunk(STOP) + END)
    together = Wire().read(HEAD + chunk(ROLE), chunk(HELLO)).together(*reads, chunk(STOP) + END)
    assert together.record == alone.record
    assert together.events == alone.events


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (lambda exchange: exchange.lost(None), "error"),
        (lambda exchange: exchange.cancel(), "cancelled"),
        (lambda exchange: exchange.fail("read_timeout", "late"), "error"),
    ],
)
def test_what_came_is_kept_however_it_ends(end: Callable[[Exchange], None], outcome: str) -> None:
    wire = Wire().read(HEAD + chunk(ROLE)).together(*[chunk(HELLO)] * 4)
    end(wire.exchange)
    assert (wire.record.outcome, len(wire.record.chunks), len(wire.events)) == (outcome, 5, 5)


def test_nonsense_among_others_ends_it_when_it_came() -> None:
    wire = Wire().read(HEAD + chunk(ROLE)).together(chunk(HELLO), chunk(b"data: {\n\n"), chunk(HELLO))
    assert (wire.record.error_type, len(wire.record.chunks)) == ("bad_event", 2)
    assert measures.request_latency(wire.record) == pytest.approx(0.03)
    wire = Wire().read(HEAD + chunk(ROLE)).together(chunk(HELLO), b"nonsense", chunk(HELLO))
    assert (wire.record.error_type, len(wire.record.chunks)) == ("bad_http", 2)
    assert measures.request_latency(wire.record) == pytest.approx(0.03)


def test_more_must_come_after_a_whole_event_in_a_chunk_once_there_was_a_token() -> None:
    wire = Wire().read(HEAD + chunk(ROLE))
    assert wire.exchange.mid_stream_tail == b""
    assert chunk(HELLO).endswith(wire.read(chunk(HELLO)).exchange.mid_stream_tail)
    assert wire.exchange.mid_stream_tail


def test_of_an_answer_without_chunked_encoding_each_read_is_wanted_at_once() -> None:
    wire = Wire().read(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + ROLE, HELLO, HELLO)
    assert wire.exchange.mid_stream_tail == b""
