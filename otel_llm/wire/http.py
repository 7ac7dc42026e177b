"""HTTP/1.1 without a socket: the bytes of a request, and what an answer's bytes mean.

Parsing is llhttp's, through httptools. Bodies land in a list by a bound builtin, so that no Python frame runs for a
chunk; per packet that is the cheapest correct way there is.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import httptools

from otel_llm.errors import ConfigError, RemoteError
from otel_llm.wire.timing_headers import HEADERS

__all__ = ["Answer", "request_bytes"]

_TRANSPORT_OWNED: Final = frozenset(("content-length", "transfer-encoding", "connection"))


def request_bytes(path: str, host: str, headers: Mapping[str, str], body: bytes, *, close: bool = False) -> bytes:
    """Return the whole POST request. Raises ConfigError for a header that HTTP cannot carry."""
    fields = {"host": host, "content-type": "application/json", "accept-encoding": "identity", "user-agent": "otel-llm"}
    fields |= {name.lower(): value for name, value in headers.items() if name.lower() not in _TRANSPORT_OWNED}
    fields["content-length"] = str(len(body))
    if close:
        fields["connection"] = "close"
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    for line in lines:
        if "\r" in line or "\n" in line or "\0" in line:
            name = line.partition(":")[0]
            raise ConfigError("header names and values without line breaks", name, "look at --headers and --url")
    try:
        return "\r\n".join((*lines, "", "")).encode("latin-1") + body
    except UnicodeEncodeError as error:
        raise ConfigError("headers in latin-1", error.object[error.start : error.end]) from None


class Answer:
    """One response, fed as it arrives.

    `status` and what the head says are set when the head is complete; `complete` when the body is. A parser lives for
    one answer: its state after the last byte is not reusable.
    """

    __slots__ = (
        "_feed",
        "_framed",
        "_parser",
        "_pieces",
        "chunked",
        "complete",
        "content_type",
        "echo",
        "echoed",
        "encoding",
        "error",
        "keep_alive",
        "location",
        "on_body",
        "retry_after",
        "status",
        "timings",
    )

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        self.error: RemoteError | None = None
        self.status, self.complete, self.keep_alive, self._framed = 0, False, False, False
        self.chunked = False
        self.content_type = self.encoding = self.location = self.retry_after = ""
        self.echo, self.echoed = b"", ""
        """A header that is wanted, its name in lower case, and what it says."""
        self.timings: list[tuple[bytes, bytes]] = []
        """Headers that say something of the server's times, their names in lower case."""
        self._parser = httptools.HttpResponseParser(self)
        self._feed = self._parser.feed_data

    def feed(self, data: bytes) -> bytes:
        """Return the body bytes in `data`. Raises RemoteError when this is not HTTP."""
        bodies = self.feed_each((data,))
        if self.error is not None:
            raise self.error
        return bodies[0]

    def feed_each(self, reads: Sequence[bytes]) -> list[bytes]:
        """Return the body bytes of each read. At a read that is not HTTP, set `error` and return those before it."""
        feed, pieces, ends = self._feed, self._pieces, [0]
        try:
            for data in reads:
                feed(data)
                ends.append(len(pieces))
        except httptools.HttpParserUpgrade:
            self.error = RemoteError("bad_http", "an answer", "a protocol upgrade")
        except httptools.HttpParserError as error:
            self.error = RemoteError("bad_http", "an HTTP answer", error.with_traceback(None))  # it would refer to this
        if ends == list(range(len(ends))):  # each read a chunk
            bodies = pieces[: ends[-1]]
        else:
            bodies = [b"".join(pieces[start:stop]) for start, stop in pairwise(ends)]
        pieces.clear()
        return bodies

    def end_of_stream(self) -> bool:
        """Return whether the answer is complete now that the connection has ended.

        A body with neither a length nor chunks (HTTP/1.0, `Connection: close`) ends with its connection; any other
        was cut.
        """
        if self.status and not self._framed:
            self.complete = True
        return self.complete

    def close(self) -> None:
        """Drop the parser, which refers back to this object: no garbage collection runs while packets come."""
        del self._parser, self._feed

    # -- what llhttp calls -------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        field = name.lower()
        if field == b"content-type":
            self.content_type = value.decode("latin-1").partition(";")[0].strip().lower()
        elif field == b"transfer-encoding":
            self._framed = True
            self.chunked = value.lower().endswith(b"chunked")
        elif field == b"content-length":
            self._framed = True
        elif field == b"content-encoding":
            self.encoding = value.decode("latin-1").strip().lower()
        elif field == b"location":
            self.location = value.decode("latin-1")
        elif field == b"retry-after":
            self.retry_after = value.decode("latin-1")
        elif field in HEADERS:
            self.timings.append((field, value))
        elif field == self.echo:
            self._echo(value.decode("latin-1"))

    def _echo(self, value: str) -> None:
        if self.echo == b"set-cookie":  # only its name and value go back, with those of the others
            value = "; ".join(filter(None, (self.echoed, value.partition(";")[0].strip())))
        self.echoed = value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.keep_alive = self._parser.should_keep_alive()  # right only in here

    def on_message_complete(self) -> None:
        if self.status < 200:  # 100 Continue, 103 Early Hints: the answer is still to come
            self.status, self._framed, self.chunked = 0, False, False
        else:
            self.complete = True
