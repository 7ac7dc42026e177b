"""How long the sound is that comes in pieces: told by its header, or by the bytes of a second."""

from struct import unpack_from
from typing import Final

__all__ = ["PCM_BYTES_PER_S", "Sound"]

PCM_BYTES_PER_S: Final = 48_000
"""OpenAI's pcm: 24,000 samples a second of 16 bits, one channel."""

_COMPRESSED: Final = (b"ID3", b"OggS", b"fLaC", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xf1", b"\xff\xf9")
"""How MP3, Opus, FLAC and AAC begin. Their length does not follow from their bytes."""
_WAV: Final = b"RIFF"
_LONGEST_HEADER: Final = 4096
_CHUNK: Final = 8


class Sound:
    """A recording as it comes: WAV, or PCM as OpenAI has it, or a compressed one whose length nothing tells.

    seconds: of the sound so far; None where it cannot be told
    """

    __slots__ = ("_bytes_per_s", "_count", "_head")

    def __init__(self) -> None:
        self._head: bytes | None = b""  # None: it has been read
        self._bytes_per_s = 0
        self._count = 0

    @property
    def seconds(self) -> float | None:
        return self._count / self._bytes_per_s if self._bytes_per_s else None

    def add(self, piece: bytes) -> bool:
        """Take the next bytes; return whether they brought sound, and no header alone."""
        if self._head is None:
            self._count += len(piece)
            return bool(piece)
        head = self._head + piece
        start = self._start(head)
        if start is None:
            self._head = head
            return False
        self._head, self._count = None, len(head) - start
        return self._count > 0

    def _start(self, head: bytes) -> int | None:
        """Return where the sound begins; None where that has not come yet."""
        if head.startswith(_WAV) or _WAV.startswith(head[:4]):
            return self._start_of_wav(head)
        if not head.startswith(_COMPRESSED):
            self._bytes_per_s = PCM_BYTES_PER_S
        return 0

    def _start_of_wav(self, head: bytes) -> int | None:
        at = 12
        while at + _CHUNK <= len(head):
            name, size = unpack_from("<4sI", head, at)
            if name == b"data":
                return at + _CHUNK
            if name == b"fmt " and at + _CHUNK + 12 <= len(head):
                (self._bytes_per_s,) = unpack_from("<I", head, at + _CHUNK + 8)
            at += _CHUNK + size + size % 2
        return len(head) if len(head) > _LONGEST_HEADER else None
