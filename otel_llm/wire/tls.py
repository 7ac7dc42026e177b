"""TLS without a socket: encrypted bytes in, plain bytes out, so that the raw read can be stamped first.

A TLS record arrives with its last segment: only then can it be decrypted.
"""

import ssl
from collections.abc import Callable

__all__ = ["Tls", "TlsEndedError"]

_RECORD = 16384  # what a record can hold at most, and what is allocated for it


class TlsEndedError(Exception):
    """The other side closed the TLS session in order."""


class Tls:
    """One session over `ssl.MemoryBIO`."""

    __slots__ = ("_ended", "_in", "_object", "_out")

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._in, self._out, self._ended = ssl.MemoryBIO(), ssl.MemoryBIO(), False
        self._object = context.wrap_bio(self._in, self._out, server_hostname=host)

    def handshake(self, received: bytes = b"") -> tuple[bool, bytes]:
        """Take what was received; return (whether the handshake is done, what to send). Raises ssl.SSLError."""
        if received:
            self._in.write(received)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False, self._out.read()
        return True, self._out.read()

    def encrypt(self, plain: bytes) -> bytes:
        """Return `plain` as it goes out."""
        self._object.write(plain)
        return self._out.read()

    def decrypt(self, received: bytes, send: Callable[[bytes], object]) -> bytes:
        """Return the plain bytes that `received` completes, b"" for none; answer a key update by `send`.

        Raises TlsEndedError at the other side's end of session, ssl.SSLError when the session is broken.
        """
        self._in.write(received)
        plain: list[bytes] = []
        read = self._object.read
        try:
            while part := read(_RECORD):
                plain.append(part)
                if not self._in.pending and not self._object.pending():  # else to find out costs an exception
                    break
            else:
                self._ended = True
        except ssl.SSLWantReadError:
            pass  # tickets and key updates carry no data
        except ssl.SSLZeroReturnError:
            self._ended = True
        if self._ended and not plain:
            raise TlsEndedError
        if self._out.pending:
            send(self._out.read())
        return plain[0] if len(plain) == 1 else b"".join(plain)
