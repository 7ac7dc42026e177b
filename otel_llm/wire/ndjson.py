"""The two framings without events: one JSON value a line, and a whole body that is not streamed."""

from collections.abc import Sequence

__all__ = ["Ndjson", "Whole"]


class Ndjson:
    """A framer of lines, ended by LF or CRLF; empty lines are skipped, the last one needs no end."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, read: bytes) -> Sequence[bytes]:
        """Return each line that this read completed."""
        *lines, self._tail = (self._tail + read).split(b"\n")
        return [text for line in lines if (text := line.strip(b" \t\r"))]

    def end(self) -> Sequence[bytes]:
        """Return what came after the last line end, if anything did."""
        tail, self._tail = self._tail.strip(b" \t\r"), b""
        return (tail,) if tail else ()


class Whole:
    """A framer for an answer that is not streamed: nothing until the end, then all of it."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def feed(self, read: bytes) -> Sequence[bytes]:
        """Return nothing yet."""
        if read:
            self._parts.append(read)
        return ()

    def end(self) -> Sequence[bytes]:
        """Return the whole body, if there was one."""
        body = b"".join(self._parts)
        self._parts.clear()
        return (body,) if body else ()
