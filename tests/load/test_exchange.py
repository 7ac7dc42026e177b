"""One request and its answer, from bytes to a record, on every way it can end. No network: bytes are handed in."""

from collections.abc import Callable

import pytest
from otel_llm_plugins.openai_chat import OpenAIChat
from otel_llm_plugins.openai_completions import OpenAICompletions

from otel_llm import measures
from otel_llm.load.channel import Finished
from otel_llm.load.exchange import Exchange
from otel_llm.observe import StreamObservation
from otel_llm.record import StreamRecord
from otel_llm.testing import FakeClock

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


class Wire:
    """A connection's end of an exchange; every read comes 10 ms after the one before."""

    def __init__(self, plugin: type = OpenAIChat) -> None:
        self.clock = FakeClock()
        self.obs = StreamObservation(clock=self.clock, stream=True)
        self.done = 0
        self.exchange = Exchange(self.obs, plugin(), self._done, keep_events=True)

    def _done(self) -> None:
        self.done += 1

    def read(self, *reads: bytes) -> "Wire":
        for data in reads:
            self.clock.advance(seconds=0.01)
            self.exchange.received(data, self.clock.now_ns(), 0)
        return self

    @property
    def record(self) -> StreamRecord:
        assert self.done == 1
        assert self.obs.record is not None
        return self.obs.record


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
    assert wire.exchange.content is not None
    assert Finished(record, bytes(wire.exchange.content)).events[-1] == b"[DONE]"


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
    assert wire.record is first


def test_an_interrupted_request_keeps_its_marks() -> None:
    wire = Wire().read(HEAD + chunk(HELLO))
    wire.exchange.cancel()
    assert (wire.record.outcome, wire.record.error_type, len(wire.record.chunks)) == ("cancelled", "interrupted", 1)


def test_an_answer_that_was_not_streamed() -> None:
    body = (
        b'{"id":"c","model":"m","choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":3,"completion_tokens":4}}'
    )
    wire = Wire()
    wire.obs.set(stream=False)
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


# -- packets that are put aside ------------------------------------------------------------------------------------


def test_packets_in_the_middle_are_looked_at_together_and_keep_their_moments() -> None:
    wire = Wire().read(HEAD + chunk(ROLE), *[chunk(HELLO)] * 5)
    assert len(wire.obs) < 6
    wire.exchange.settle()
    assert len(wire.obs) == 6
    record = wire.read(chunk(WORLD), chunk(STOP), chunk(DONE) + END).record
    assert list(record.chunks.read) == [*range(1, 9)]
    assert measures.time_to_first_token(record) == pytest.approx(0.02)
    assert measures.inter_token_latencies(record) == pytest.approx([0.01] * 5)


def test_only_so_many_are_put_aside() -> None:
    wire = Wire().read(HEAD + chunk(ROLE), *[chunk(HELLO)] * 100)
    assert 100 - len(wire.obs) < 16


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (lambda exchange: exchange.lost(None), "error"),
        (lambda exchange: exchange.cancel(), "cancelled"),
        (lambda exchange: exchange.fail("read_timeout", "late"), "error"),
    ],
)
def test_what_was_put_aside_is_kept_however_it_ends(end: Callable[[Exchange], None], outcome: str) -> None:
    wire = Wire().read(HEAD + chunk(ROLE), *[chunk(HELLO)] * 4)
    end(wire.exchange)
    assert (wire.record.outcome, len(wire.record.chunks)) == (outcome, 5)


def test_nonsense_that_was_put_aside_ends_it_when_it_came() -> None:
    wire = Wire().read(HEAD + chunk(ROLE), chunk(HELLO), chunk(b"data: {\n\n"), chunk(HELLO))
    wire.exchange.settle()
    assert (wire.record.error_type, len(wire.record.chunks)) == ("bad_event", 2)
    assert measures.request_latency(wire.record) == pytest.approx(0.03)


def test_an_answer_without_chunked_encoding_is_looked_at_at_once() -> None:
    wire = Wire().read(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + ROLE, HELLO, HELLO)
    assert len(wire.obs) == 3
