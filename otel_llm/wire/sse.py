"""Server-sent events: bytes in, the data of every event that is complete out.

Framing to the WHATWG standard (HTML, section 9.2.6, "Interpreting an event stream"): LF, CRLF and CR, split anywhere,
comments, data over several lines, a byte order mark. An event ended by a bare CR is given at once, without waiting
for the LF that may follow. Names, ids and retry times are dropped: every LLM protocol says it all in the data.

Three things are taken as clients take them, not as the standard says: an event without data is a sign of life and no
event, the end of a body ends its last event, and a line that is a whole JSON object needs no empty line after it.
"""

from collections.abc import Sequence
from typing import Final

import orjson

__all__ = ["JOINT", "Sse"]

JOINT: Final = b"\n\ndata: "
"""What stands between the data of two events where nothing else does."""

_BOM: Final = b"\xef\xbb\xbf"


class Sse:
    """A framer: feed it what was read, in any pieces."""

    __slots__ = ("_after_cr", "_data", "_fresh", "_plain", "_rest", "_tail")

    def __init__(self) -> None:
        self._fresh = True  # nothing read yet: a byte order mark may come
        self._plain = False  # what went before is whole events, and `_rest`
        self._rest = b""  # the beginning of an event that has not ended
        # and where events have to be read line by line:
        self._tail = b""  # a line that has not ended
        self._data: list[bytes] = []  # data lines of an event that has not ended
        self._after_cr = False  # the last read ended in CR: an LF at the start of the next belongs to it

    def feed(self, read: bytes) -> Sequence[bytes]:
        """Return the data of each event that this read completed."""
        if self._plain and self._rest:
            read, self._rest = self._rest + read, b""
        # nearly every stream is nothing but `data: ...\n\n`, one of them in a read or many
        if read[:6] == b"data: " and (self._plain or (self._fresh and not self._tail)) and 13 not in read:
            end = read.rfind(b"\n\n")
            events = read[6:end].split(JOINT) if end > 0 else []
            if 10 not in b"".join(events) and all(events) and (end > 0 or 10 not in read):
                self._plain, self._fresh, self._rest = True, False, read[end + 2 :] if end > 0 else read
                return events
        self._plain = False
        return self._lines(read)

    def singles(self, reads: Sequence[bytes]) -> Sequence[bytes] | None:
        """Return the data of reads that are one whole event each. Else return None and change nothing."""
        events = [read[6:-2] for read in reads]
        inside = b"".join(events)
        plain = self._plain and not self._rest and 10 not in inside and 13 not in inside and all(events)
        return events if plain and b"data: %b\n\n" % JOINT.join(events) == b"".join(reads) else None

    def end(self) -> Sequence[bytes]:
        """Return the data of an event that no empty line has closed, if there is one."""
        rest, self._rest = self._rest, b""
        return [*self._lines(rest), *self._lines(b"\n\n")]

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
        self._plain = not (self._tail or self._data or self._after_cr)
        return events

    def _events(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        data, events = self._data, []
        for line, after in zip(lines, (*lines[1:], None), strict=False):
            if line[:5] == b"data:":
                data.append(line[6:] if line[5:6] == b" " else line[5:])
                if after != b"" and len(data) == 1 and _is_object(data[0]):
                    events += data
                    data.clear()
            elif not line:
                if any(data):
                    events.append(data[0] if len(data) == 1 else b"\n".join(data))
                data.clear()
            elif line == b"data":
                data.append(b"")
        return events


def _is_object(line: bytes) -> bool:
    try:
        return line[:1] == b"{" and line[-1:] == b"}" and bool(orjson.loads(line))
    except orjson.JSONDecodeError:
        return False
