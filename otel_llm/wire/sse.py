"""Server-sent events: bytes in, the data of every event that is complete out.

Framing to the WHATWG standard (HTML, section 9.2.6, "Interpreting an event stream"): LF, CRLF and CR, split anywhere,
comments, data over several lines, a byte order mark. An event ended by a bare CR is given at once, without waiting
for the LF that may follow. Names, ids and retry times are dropped: every LLM protocol says it all in the data.
"""

from collections.abc import Sequence
from typing import Final

__all__ = ["Sse"]

_BOM: Final = b"\xef\xbb\xbf"


class Sse:
    """A framer: feed it what was read, in any pieces."""

    __slots__ = ("_after_cr", "_clean", "_data", "_fresh", "_tail")

    def __init__(self) -> None:
        self._tail = b""  # a line that has not ended
        self._data: list[bytes] = []  # data lines of an event that has not ended
        self._after_cr = False  # the last read ended in CR: an LF at the start of the next belongs to it
        self._fresh = True  # nothing read yet: a byte order mark may come
        self._clean = False  # nothing of the above is pending

    def feed(self, read: bytes) -> Sequence[bytes]:
        """Return the data of each event that this read completed."""
        if read[:6] == b"data: " and read[-1] == 10 and 13 not in read:
            # nearly every read of a paced stream is one whole `data: ...\n\n` with nothing pending
            if self._clean and read.find(10) == len(read) - 2:
                return (read[6:-2],)
            # and one of a stream that comes as fast as it can is many: two line ends for each, and no other
            if self._clean or (self._fresh and not self._tail):
                events = read[6:-2].split(b"\n\ndata: ")
                if read.count(10) == 2 * len(events) and read[-2] == 10:
                    self._clean, self._fresh = True, False
                    return events
        return self._lines(read)

    def end(self) -> Sequence[bytes]:
        """Return nothing: the standard drops an event that was not closed by an empty line."""
        return ()

    def _lines(self, read: bytes) -> Sequence[bytes]:
        if self._fresh:
            self._tail += read
            if len(self._tail) < 3 and _BOM.startswith(self._tail):
                return ()
            read, self._tail, self._fresh = self._tail.removeprefix(_BOM), b"", False
        if self._after_cr and read:
            read, self._after_cr = read.removeprefix(b"\n"), False
        if 13 in read:
            self._after_cr = read[-1] == 13
            read = read.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, tail = read.split(b"\n")
        if lines:
            lines[0] = self._tail + lines[0]
            self._tail = tail
        else:
            self._tail += tail
        events = self._events(lines)
        self._clean = not (self._tail or self._data or self._after_cr)
        return events

    def _events(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        data, events = self._data, []
        for line in lines:
            if line[:6] == b"data: ":
                data.append(line[6:])
            elif not line:
                if data:
                    events.append(data[0] if len(data) == 1 else b"\n".join(data))
                    data.clear()
            elif line[:5] == b"data:":
                data.append(line[5:])
            elif line == b"data":
                data.append(b"")
        return events
