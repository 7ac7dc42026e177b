"""The binary event stream of AWS (`application/vnd.amazon.eventstream`): messages with a length, headers and checksums.

Source: the Amazon Event Stream encoding of Smithy, and botocore 1.44, which reads it. A message is its length, the
length of its headers, a checksum of these two; the headers; the payload; a checksum of all before it.
"""

import zlib
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final

import orjson

from otel_llm.errors import RemoteError

__all__ = ["EventStream"]

_PRELUDE: Final = Struct(">III")
_CHECKSUM: Final = Struct(">I")
_LEAST: Final = _PRELUDE.size + _CHECKSUM.size
_MOST: Final = 24 << 20
"""Bytes of a message: more than the encoding allows."""
_SIZES: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type, where all of that type have as many."""


class EventStream:
    """A framer: each message becomes one member, its type, in a JSON object, as botocore shows it.

    `{"contentBlockDelta":{…payload…}}`; an exception under its own name.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, read: bytes) -> Sequence[bytes]:
        """Return each message that this read completed. Raises RemoteError for bytes that are none."""
        self._held += read
        held, events, at = memoryview(self._held), list[bytes](), 0
        try:
            while len(held) - at >= _PRELUDE.size:
                size = _length(held[at : at + _PRELUDE.size])
                if len(held) - at < size:
                    break
                events.append(_event(held[at : at + size]))
                at += size
        finally:
            held.release()
        del self._held[:at]
        return events

    def end(self) -> Sequence[bytes]:
        """Return nothing: half a message is none."""
        return ()


def _length(prelude: memoryview) -> int:
    size, _, checksum = _PRELUDE.unpack(prelude)
    if zlib.crc32(prelude[:-4]) != checksum or not _LEAST <= size <= _MOST:
        raise _broken("a length without its checksum")
    return int(size)


def _event(message: memoryview) -> bytes:
    _, head, _ = _PRELUDE.unpack_from(message)
    (checksum,) = _CHECKSUM.unpack_from(message, len(message) - _CHECKSUM.size)
    if zlib.crc32(message[: -_CHECKSUM.size]) != checksum or head > len(message) - _LEAST:
        raise _broken("a message without its checksum")
    start = _PRELUDE.size + head
    headers = dict(_headers(bytes(message[_PRELUDE.size : start])))
    payload = bytes(message[start : -_CHECKSUM.size]) or b"{}"
    kind = headers.get(b":message-type", b"event")
    if kind == b"error":
        code, words = headers.get(b":error-code", b"error"), headers.get(b":error-message", b"")
        return b'{"error":{"code":%b,"message":%b}}' % (_quoted(code), _quoted(words))
    name = headers.get(b":exception-type" if kind == b"exception" else b":event-type", b"")
    return b"{%b:%b}" % (_quoted(name), payload)


def _headers(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the headers that are texts or bytes."""
    at = 0
    try:
        while at < len(block):
            stop = at + 1 + block[at]
            name, kind = block[at + 1 : stop], block[stop]
            at = stop + 1
            if kind in _SIZES:
                at += _SIZES[kind]
                continue
            size = int.from_bytes(block[at : at + 2])
            yield name, block[at + 2 : at + 2 + size]
            at += 2 + size
    except IndexError:
        raise _broken("a header that is cut short") from None


def _quoted(text: bytes) -> bytes:
    return orjson.dumps(text.decode("utf-8", "replace"))


def _broken(got: str) -> RemoteError:
    return RemoteError("bad_event", "messages of an AWS event stream", got)
