"""A response that the caller reads by himself, as bytes, text or lines: what it says is told to its call all the same.

Of a streamed answer each event is noted when it was read; of any other the usage, when all of it was.
"""

import json
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any, Final

from otel_llm.instrumentation.calls.hooks import MeasuredCall
from otel_llm.instrumentation.calls.isolation import guarded
from otel_llm.wire.sse import Sse

__all__ = ["ReadBody"]

_MOST: Final = 16 << 20
"""Bytes of an answer that is not streamed, beyond which it is not looked at."""


class ReadBody:
    """What was read so far of the body of one response. Never raises: the caller's reading goes on."""

    def __init__(self, call: MeasuredCall, content_type: str) -> None:
        self._call, self._open = call, True
        self._framer = Sse() if "event-stream" in content_type else None
        self._pieces: list[bytes] = []
        self._size = 0

    def pass_on(self, pieces: Iterator[Any], end: bytes = b"") -> Iterator[Any]:
        """Yield the pieces, each taken as it goes by; `end` stands behind each in the body."""
        for piece in pieces:
            guarded("body", self._take, piece, end)
            yield piece
        self.finish()

    async def pass_on_later(self, pieces: AsyncIterator[Any], end: bytes = b"") -> AsyncIterator[Any]:
        """Yield what `pass_on` yields."""
        async for piece in pieces:
            guarded("body", self._take, piece, end)
            yield piece
        self.finish()

    def take_whole(self, body: bytes) -> None:
        """Take the whole body, which was read at once."""
        guarded("body", self._take, body)
        self.finish()

    def finish(self) -> None:
        """End the call with what was read, unless that was done."""
        if not self._open:
            return
        self._open = False
        said = None if self._framer is not None else guarded("body", _read, b"".join(self._pieces))
        if said is None:
            self._call.end()
        else:
            self._call.returned(said)

    def close(self) -> None:
        """End the call of a response that is closed: a stream was left before its end, anything else is complete."""
        if self._open and self._framer is not None:
            self._open = False
            self._call.close_early()
        self.finish()

    def _take(self, piece: Any, end: bytes = b"") -> None:
        if not self._open:
            return
        read = (piece.encode() if isinstance(piece, str) else piece) + end
        if self._framer is None:
            self._size += len(read)
            if self._size <= _MOST:
                self._pieces.append(read)
            return
        for event in self._framer.feed(read):
            if (said := _read(event)) is not None:
                self._call.note(said)


def _read(text: bytes) -> Any:
    """Return JSON with its objects as objects of Python, which is how the library gives them; None where it is none."""
    try:
        return json.loads(text, object_hook=lambda members: SimpleNamespace(**members))
    except ValueError:
        return None
