"""HTTP/1.1 answers in any pieces, and requests that can be sent."""

import pytest

from otel_llm.errors import ConfigError, RemoteError
from otel_llm.wire.http import Answer, request_bytes
from otel_llm.wire.target import Target

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
)


def test_a_chunked_body_at_every_split_point() -> None:
    for i in range(len(CHUNKED) + 1):
        answer = Answer()
        assert answer.feed(CHUNKED[:i]) + answer.feed(CHUNKED[i:]) == b"hello world"
        assert (answer.status, answer.complete, answer.keep_alive) == (200, True, True)
        assert answer.content_type == "text/event-stream"


def test_each_read_has_its_own_body() -> None:
    for i in range(len(CHUNKED) + 1):
        for j in range(i, len(CHUNKED) + 1, 3):
            reads = [CHUNKED[:i], CHUNKED[i:j], CHUNKED[j:]]
            alone, together = Answer(), Answer()
            assert together.feed_each(reads) == [alone.feed(read) for read in reads]
            assert together.complete
            assert together.error is None


def test_what_came_before_nonsense_is_kept() -> None:
    answer = Answer()
    assert answer.feed_each([CHUNKED[:-5], b"zz\r\n", b"more"]) == [b"hello world"]
    assert answer.error is not None
    assert answer.error.kind == "bad_http"


def test_a_body_with_a_length() -> None:
    answer = Answer()
    assert answer.feed(b"HTTP/1.1 429 Slow\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\nno") == b"no"
    assert (answer.status, answer.complete, answer.retry_after) == (429, True, "3")


@pytest.mark.parametrize("head", [b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"])
def test_a_body_without_a_length_ends_with_its_connection(head: bytes) -> None:
    answer = Answer()
    assert answer.feed(head + b"abc") == b"abc"
    assert not answer.complete
    assert answer.end_of_stream()
    assert answer.complete


def test_a_cut_body_is_not_complete() -> None:
    answer = Answer()
    answer.feed(CHUNKED[:-5])
    assert not answer.end_of_stream()


def test_an_empty_connection_is_no_answer() -> None:
    assert not Answer().end_of_stream()


def test_early_hints_are_not_the_answer() -> None:
    answer = Answer()
    answer.feed(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
    assert (answer.status, answer.complete) == (0, False)
    assert answer.feed(CHUNKED) == b"hello world"
    assert (answer.status, answer.complete) == (200, True)


@pytest.mark.parametrize(
    "wire", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"]
)
def test_what_is_not_http_says_so(wire: bytes) -> None:
    with pytest.raises(RemoteError) as caught:
        Answer().feed(wire)
    assert caught.value.kind == "bad_http"


def test_a_request_whole() -> None:
    wire = request_bytes("/v1/x", "h:1", {"Authorization": "Bearer a==", "Content-Length": "9"}, b"{}")
    head, _, body = wire.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /v1/x HTTP/1.1"
    assert b"host: h:1" in lines
    assert b"authorization: Bearer a==" in lines
    assert lines.count(b"content-length: 2") == 1
    assert body == b"{}"


@pytest.mark.parametrize("headers", [{"x": "a\r\nb: c"}, {"x\n": "a"}, {"x": "\N{SNOWMAN}"}])
def test_headers_that_http_cannot_carry_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        request_bytes("/", "h", headers, b"")


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "header"),
    [
        ("http://a/v1", "a", 80, "/v1", "a"),
        ("https://a:444?k=1", "a", 444, "/?k=1", "a:444"),
        ("http://[::1]:8000/x", "::1", 8000, "/x", "[::1]:8000"),
    ],
)
def test_urls_taken_apart(url: str, host: str, port: int, path: str, header: str) -> None:
    target = Target.parse(url)
    assert (target.host, target.port, target.path, target.host_header) == (host, port, path, header)


@pytest.mark.parametrize("url", ["localhost", "ftp://a/", "http://", "http://a:x/", "http://u:p@a/"])
def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ConfigError):
        Target.parse(url)
