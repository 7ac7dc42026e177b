"""Answers that are not what they say they are, or not what was asked for, as clients accept them."""

import gzip
import zlib
from collections.abc import Callable

import pytest

from otel_llm.wire.protocol import Protocol
from otel_llm_plugins.ollama_chat import OllamaChat
from otel_llm_plugins.openai_chat import OpenAIChat
from tests.load.test_exchange import DONE, END, HELLO, STOP, USAGE, WORLD, Wire, chunk

EVENTS = HELLO + WORLD + STOP + USAGE + DONE
WHOLE = b'{"model":"m-1","choices":[{"message":{"content":"Hello world"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}'  # noqa: E501
LINES = b'{"model":"m","message":{"content":"Hello"},"done":false}\n{"model":"m","message":{"content":""},"done":true,"done_reason":"stop","prompt_eval_count":5,"eval_count":2}\n'  # noqa: E501


def head(kind: str, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}Transfer-Encoding: chunked\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("label", "body", "plugin"),
    [
        ("text/event-stream", EVENTS, OpenAIChat),
        ("application/json", EVENTS, OpenAIChat),
        ("application/json; charset=utf-8", b": begin\n\n" + EVENTS, OpenAIChat),
        ("application/x-ndjson", EVENTS, OpenAIChat),
        ("text/plain", b"event: x\n" + EVENTS, OpenAIChat),
        ("application/json", b"\xef\xbb\xbf" + EVENTS, OpenAIChat),
        ("text/event-stream", WHOLE, OpenAIChat),
        ("text/event-stream", b"\n" + WHOLE + b"\n", OpenAIChat),
        ("text/plain", WHOLE.replace(b",", b",\n  "), OpenAIChat),
        ("application/json", LINES, OllamaChat),
        ("text/event-stream", LINES, OllamaChat),
        ("text/plain", LINES, OllamaChat),
        ("application/json", LINES.splitlines()[1], OllamaChat),
        ("text/event-stream", EVENTS.replace(b"\n\n", b"\n"), OpenAIChat),
        ("text/event-stream", EVENTS.replace(b"\n\n", b"\r\n"), OpenAIChat),
        ("text/event-stream", EVENTS.replace(b"\n\n", b"\n\ndata:\n\ndata: \n\n"), OpenAIChat),
        ("text/event-stream", EVENTS.replace(b"[DONE]", b" [DONE] "), OpenAIChat),
        ("text/event-stream", (HELLO + WORLD + USAGE + STOP).rstrip(), OpenAIChat),
        ("text/event-stream", (HELLO + WORLD + USAGE + STOP)[:-1], OpenAIChat),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_the_body_decides_what_it_is(label: str, body: bytes, plugin: type[Protocol], size: int) -> None:
    if size < 10_000 and plugin is OllamaChat and label != "application/x-ndjson" and b"\n" in body[:-1]:
        size = body.index(b"\n") + 1  # what lines of JSON are is seen by a whole one
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    record = Wire(plugin).read(head(label), *map(chunk, pieces), END).record
    assert (record.outcome, record.error_type, record.error_message) == ("complete", None, None)
    assert (record.output_tokens, record.input_tokens, record.finish_reasons) == (2, 5, ("stop",))
    assert record.headers_ns == 1_010_000_000, "the head came with the first read"


def test_lines_without_empty_ones_between_them_come_when_they_come() -> None:
    body = EVENTS.replace(b"\n\n", b"\n").splitlines(keepends=True)
    record = Wire().read(head("text/event-stream"), *map(chunk, body), END).record
    assert list(record.chunks.read) == [2, 3, 4, 5]


def test_an_event_that_was_cut_is_no_answer() -> None:
    record = Wire().read(head("text/event-stream"), chunk(HELLO), chunk(STOP[:-20]), END).record
    assert (record.outcome, record.error_type) == ("error", "bad_event")


def test_a_body_too_short_to_show_what_it_is_may_hold_two_events() -> None:
    record = Wire(OllamaChat).read(head("application/x-ndjson"), chunk(b'2.5\n"7"'), END).record
    assert (record.outcome, record.error_type) == ("error", "bad_event")


def deflated(body: bytes) -> bytes:
    return zlib.compress(body)


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", deflated)]
)
@pytest.mark.parametrize("size", [5, 10_000])
def test_a_body_that_is_compressed_though_nobody_asked(
    encoding: str, compress: Callable[[bytes], bytes], size: int
) -> None:
    for label, plain in (("text/event-stream", EVENTS), ("application/json", WHOLE), ("application/json", EVENTS)):
        body = compress(plain)
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        more = f"Content-Encoding: {encoding}\r\n"
        record = Wire().read(head(label, more=more), *map(chunk, pieces), END).record
        assert (record.outcome, record.output_tokens, record.error_message) == ("complete", 2, None)
        refused = Wire().read(head(label, "401 No", more), *map(chunk, pieces), END).record
        assert (refused.error_type, refused.error_message) == ("401", plain.decode())


@pytest.mark.parametrize(("encoding", "words"), [("br", "got 'content-encoding: br'"), ("gzip", "as its head says")])
@pytest.mark.parametrize(("status", "kind"), [("200 OK", "content_encoding"), ("401 No", "401")])
def test_a_body_that_cannot_be_decompressed_says_so(encoding: str, words: str, status: str, kind: str) -> None:
    more = f"Content-Encoding: {encoding}\r\n"
    record = Wire().read(head("text/event-stream", status, more), chunk(b"\x1b\x02\x03"), END).record
    assert record.error_type == kind
    assert words in str(record.error_message)


def test_a_redirect_is_said_and_not_followed() -> None:
    more = "Location: https://other/v1/chat/completions?key=secret\r\n"
    record = Wire().read(head("text/html", "307 Temporary Redirect", more), chunk(b"<html>"), END).record
    assert record.error_type == "307"
    assert record.error_message == (
        "redirects to https://other/v1/chat/completions, which is not followed: give it as --url"
    )
