"""Which framer an answer needs: by what it says that it is, and by how it begins where that is another thing."""

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import orjson

from otel_llm.errors import RemoteError
from otel_llm.wire.event_stream import EventStream
from otel_llm.wire.http import Answer
from otel_llm.wire.ndjson import Ndjson, Whole
from otel_llm.wire.pieces import Pieces
from otel_llm.wire.sse import Sse

__all__ = ["Framer", "framer_of"]


class Framer(Protocol):
    """Turns the body of an answer, in any pieces, into its events."""

    def feed(self, read: bytes) -> Sequence[bytes]:
        """Return the events that this read completed."""
        ...

    def end(self) -> Sequence[bytes]:
        """Return what the end of the body completes."""
        ...


_FRAMINGS: Final[Mapping[str, type[Sse | Ndjson | EventStream | Pieces]]] = {
    "bytes": Pieces,
    "sse": Sse,
    "ndjson": Ndjson,
    "event_stream": EventStream,
}
_LABELS: Final[Mapping[str, type[Sse | Ndjson | Whole | EventStream | Pieces]]] = {
    "application/vnd.amazon.eventstream": EventStream,
    "text/event-stream": Sse,
    "application/json": Whole,
    "application/x-ndjson": Ndjson,
    "application/ndjson": Ndjson,
    "application/jsonl": Ndjson,
}
_FIELD: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:data|event|id|retry)?:")
_INFLATED: Final = ("gzip", "x-gzip", "deflate")
_ANY_HEADER: Final = zlib.MAX_WBITS | 32
_ENOUGH: Final = 9
"""Bytes in which a byte order mark and the longest name of a field have shown themselves."""


def framer_of(answer: Answer, beginning: bytes, framing: str, *, stream: bool) -> Framer:
    """Return a framer for an answer whose head is complete. Raises RemoteError for an encoding that cannot be read.

    beginning: the first bytes of the body
    framing:   "sse", "ndjson", "event_stream" or "bytes", for a stream whose content type does not tell
    stream:    whether a stream was asked for
    """
    if answer.encoding in ("", "identity"):
        if _is_clear(beginning):
            return _framer_of(answer, beginning, framing, stream=stream)
        return _Later(bytes, lambda plain: _framer_of(answer, plain, framing, stream=stream))
    if answer.encoding not in _INFLATED:
        expected = "an answer that is not encoded, as was asked"
        raise RemoteError("content_encoding", expected, f"content-encoding: {answer.encoding}", "look at the proxy")
    inflate = zlib.decompressobj(_ANY_HEADER).decompress
    return _Later(inflate, lambda plain: _framer_of(answer, plain, framing, stream=stream))


def _framer_of(answer: Answer, beginning: bytes, framing: str, *, stream: bool) -> Framer:
    if not 200 <= answer.status < 300:
        return Whole()
    asked = _FRAMINGS.get(framing, Sse) if stream else Whole
    said = _LABELS.get(answer.content_type, asked)
    if said is Pieces:  # bytes may look like anything
        return Pieces()
    if said is not Sse and _FIELD.match(beginning):
        return Sse()
    if said is not Ndjson and stream and beginning.lstrip()[:1] in (b"{", b"["):
        return Ndjson() if framing == "ndjson" and _begins_with_a_line_of_json(beginning) else Whole()
    return said()


def _is_clear(beginning: bytes) -> bool:
    """Return whether a body shows what it is."""
    start = beginning.lstrip()
    return len(start) >= _ENOUGH or start[:1] in (b"{", b"[") or _FIELD.match(beginning) is not None


def _begins_with_a_line_of_json(beginning: bytes) -> bool:
    line, end, _ = beginning.partition(b"\n")
    try:
        return bool(end) and isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


class _Later:
    """A framer that is chosen when enough of the body has come, which may be compressed though nobody asked for it."""

    def __init__(self, plain_of: Callable[[bytes], bytes], choose: Callable[[bytes], Framer]) -> None:
        """plain_of: decompresses what was read; choose: returns the framer for a body that begins with these bytes"""
        self._plain_of, self._choose = plain_of, choose
        self._beginning = b""
        self._framer: Framer | None = None

    def feed(self, read: bytes) -> Sequence[bytes]:
        """Return the events that this read completed. Raises RemoteError when it cannot be decompressed."""
        try:
            plain = self._plain_of(read)
        except zlib.error as error:
            raise RemoteError("content_encoding", "a body compressed as its head says", error) from None
        if self._framer is not None:
            return self._framer.feed(plain)
        self._beginning += plain
        return self._begin() if _is_clear(self._beginning) else ()

    def end(self) -> Sequence[bytes]:
        """Return what the end of the body completes."""
        begun = [] if self._framer is not None else self._begin()
        return [*begun, *(self._framer.end() if self._framer is not None else ())]

    def _begin(self) -> Sequence[bytes]:
        self._framer = self._choose(self._beginning)
        return self._framer.feed(self._beginning)
