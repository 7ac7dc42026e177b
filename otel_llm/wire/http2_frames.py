"""HTTP/2 without a socket: the client's end of a connection that has one request at a time, by the h2 package.

The windows are as large as they can be, so no server waits for this side to have read. Two kinds of frames are not
h2's: those in the middle of a body, which it takes 16 us for, and a GOAWAY, behind which it would take no frame of the
answer that may still be coming (RFC 9113, section 6.8).
"""

from collections.abc import Sequence
from struct import Struct
from typing import Final

import msgspec
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from otel_llm.errors import RemoteError

__all__ = ["Came", "Fields", "Http2Frames"]

Fields = Sequence[tuple[bytes, bytes]]

_WINDOW: Final = (1 << 31) - 1
_FIRST_WINDOW: Final = (1 << 16) - 1
_REFILL: Final = 1 << 28
_HEAD: Final = 9
_DATA: Final = 0
_SETTINGS_FRAME: Final = 4
_GOAWAY: Final = 7
_WINDOW_UPDATE: Final = Struct("!xHBBII")
_SETTINGS: Final = {
    SettingCodes.ENABLE_PUSH: 0,
    SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW,
    SettingCodes.MAX_FRAME_SIZE: 16384,
}


class Came(msgspec.Struct, gc=False):
    """What a read brought of the answer.

    head:     its status and headers, `:status` the first; () where they have not come with this read
    trailers: the fields behind the body
    reset:    the name of the code with which the server gave it up, "" where it has not
    """

    head: Fields = ()
    body: bytes = b""
    trailers: Fields = ()
    ended: bool = False
    reset: str = ""


class Http2Frames:
    """The client's end: `opening` first; what `feed` and `asking` leave to be sent is in `outgoing`."""

    def __init__(self) -> None:
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._h2.local_settings = Settings(client=True, initial_values=_SETTINGS)
        self._rest, self._unsent = b"", memoryview(b"")
        self._stream = self._counted = self._uncounted = 0  # bytes of frames that h2 has seen, and of others
        self._middle = b""
        """Type, flags and stream of a frame in the middle of the body, b"" before there is one."""
        self._own = b""
        self.ready = False
        """Whether the server has said that it speaks HTTP/2."""
        self.broken = ""
        """Why nothing more can come: what was read is no HTTP/2."""
        self.leaving = ""
        """What the server said when it went away, "" while it stays."""

    @property
    def open(self) -> bool:
        """Whether another request may be sent."""
        return not self.broken and not self.leaving

    def opening(self) -> bytes:
        """Return the bytes that begin a connection."""
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW - _FIRST_WINDOW)
        return self.outgoing()

    def asking(self, head: Fields, body: bytes) -> bytes:
        """Return the bytes that send a request: as much of its body as the server takes at once.

        Raises RemoteError of kind `http2` for a request that HTTP/2 cannot carry, or that the server allows none of.
        """
        try:
            self._stream = self._h2.get_next_available_stream_id()
            self._middle = b""
            self._h2.send_headers(self._stream, head, end_stream=not body)
            self._unsent = memoryview(body)
            self._send_on()
        except ProtocolError as error:
            raise RemoteError("http2", "a request that HTTP/2 can carry", error) from error
        return self.outgoing()

    def goes_on(self, read: bytes) -> bool:
        """Return whether this read is frames with parts of the body, and not the last."""
        return self._parts(read) is not None

    def _parts(self, read: bytes) -> list[bytes] | None:
        """Return what is in frames in the middle of the body; None where a read is anything else."""
        at, size, middle, parts = 0, len(read), self._middle, list[bytes]()
        while at < size:
            if read[at + 3 : at + _HEAD] != middle:
                return None
            stop = at + _HEAD + int.from_bytes(read[at : at + 3])
            parts.append(read[at + _HEAD : stop])
            at = stop
        return parts if at == size and not self._rest else None

    def feed(self, read: bytes) -> Came:
        """Return what this read brought of the answer to the latest request."""
        came = Came()
        if (parts := self._parts(read)) is not None:
            came.body = b"".join(parts)
            self._uncounted += len(came.body)
        elif not self.broken:
            self._feed(read, came)
        if self._counted + self._uncounted > _REFILL:
            self._refill()
        return came

    def _feed(self, read: bytes, came: Came) -> None:
        try:
            for event in self._h2.receive_data(self._whole_frames(read)):
                self._take(event, came)
        except ProtocolError as error:
            self.broken = f"{type(error).__name__}: {error}"

    def outgoing(self) -> bytes:
        """Return what is to be sent by itself, such as the answer to a ping."""
        own, self._own = self._own, b""
        return own + self._h2.data_to_send()

    def abandon(self) -> None:
        """Take nothing more of the answer, and have the server know where it has not ended."""
        if self._stream and not self.broken:
            self._h2.reset_stream(self._stream, ErrorCodes.CANCEL)
        self._end()

    def _end(self) -> None:
        self._stream, self._unsent, self._middle = 0, memoryview(b""), b""

    def closing(self) -> bytes:
        """Return the bytes that give up the answer that is still coming, and say goodbye."""
        if self.broken:
            return b""
        self.abandon()
        self._h2.close_connection()
        return self.outgoing()

    def _whole_frames(self, read: bytes) -> bytes:
        """Return the frames that are whole now, without those that say goodbye; keep the rest."""
        data, start, passed = self._rest + read, 0, list[bytes]()
        if not self.ready and len(data) >= _HEAD and data[3] != _SETTINGS_FRAME:
            self.broken = f"an answer that begins with {data[:16].decode('latin-1')!r}"
            return b""
        at = 0
        while at + _HEAD <= len(data):
            stop = at + _HEAD + int.from_bytes(data[at : at + 3])
            if stop - at - _HEAD > self._h2.max_inbound_frame_size:
                self.broken = f"a frame of {stop - at - _HEAD} bytes, more than was allowed"
                break
            if stop > len(data):
                break
            if data[at + 3] == _GOAWAY:
                self._say_goodbye(data[at + _HEAD : stop])
                passed.append(data[start:at])
                start = stop
            at = stop
        self._rest = data[at:]
        self.ready |= at > 0
        return data[start:at] if not passed else b"".join((*passed, data[start:at]))

    def _say_goodbye(self, payload: bytes) -> None:
        last, code = int.from_bytes(payload[:4]) & _WINDOW, int.from_bytes(payload[4:8])
        words = payload[8:].decode("utf-8", "replace")
        self.leaving = f"the server goes away: {_name(code)}{words and ': '}{words}"
        if self._stream > last:
            self.broken = self.leaving

    def _take(self, event: Event, came: Came) -> None:
        if isinstance(event, DataReceived):
            self._counted += event.flow_controlled_length or 0
            if event.stream_id == self._stream:
                came.body += event.data or b""
        elif isinstance(event, WindowUpdated | RemoteSettingsChanged):
            self._send_on()
        elif getattr(event, "stream_id", None) != self._stream:
            return
        elif isinstance(event, ResponseReceived):
            came.head = event.headers or ()
            if all(name != b"content-length" for name, _ in came.head):  # else h2 has to count what comes
                self._middle = bytes((_DATA, 0)) + self._stream.to_bytes(4)
        elif isinstance(event, TrailersReceived):
            came.trailers = event.headers or ()
        elif isinstance(event, StreamEnded):
            came.ended = True
            self._end()
        elif isinstance(event, StreamReset):
            came.reset = _name(event.error_code)
            self._end()

    def _send_on(self) -> None:
        """Send as much of the body as the windows allow."""
        while self._unsent:
            room = min(self._h2.local_flow_control_window(self._stream), self._h2.max_outbound_frame_size)
            if room <= 0:
                return
            part, self._unsent = self._unsent[:room], self._unsent[room:]
            self._h2.send_data(self._stream, bytes(part), end_stream=not self._unsent)

    def _refill(self) -> None:
        """Open the connection's window again by what has come; that of an answer is large enough for all of it."""
        if self._counted:
            self._h2.increment_flow_control_window(self._counted)
        if self._uncounted:
            self._own += _WINDOW_UPDATE.pack(4, 8, 0, 0, self._uncounted)
        self._counted = self._uncounted = 0


def _name(code: object) -> str:
    try:
        return ErrorCodes(code).name  # type: ignore[arg-type]  # what is none of them raises
    except ValueError:
        return f"error {code}"
