"""Sound: how long what comes in pieces is, by its header or the bytes of a second; and the samples of a WAV."""

import wave
from base64 import b64decode
from io import BytesIO
from struct import unpack_from
from typing import Final

from otel_llm.errors import ConfigError

__all__ = ["PCM_BYTES_PER_S", "PCM_SAMPLES_PER_S", "Sound", "pcm_of"]

PCM_SAMPLES_PER_S: Final = 24_000
PCM_BYTES_PER_S: Final = 2 * PCM_SAMPLES_PER_S
"""OpenAI's pcm: samples of 16 bits, one channel."""

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


def pcm_of(recording: str, samples_per_s: int) -> bytes:
    """Return the samples of a WAV in base64: one channel, 16 bits. Raises ConfigError for sound of another kind."""
    wanted = f"--audio with a WAV of one channel, 16 bits and {samples_per_s:,} samples a second"
    try:
        with wave.open(BytesIO(b64decode(recording))) as file:
            kind = file.getnchannels(), file.getsampwidth(), file.getframerate()
            if kind == (1, 2, samples_per_s):
                return bytes(file.readframes(file.getnframes()))
    except (wave.Error, EOFError) as error:
        raise ConfigError(wanted, error) from None
    raise ConfigError(wanted, "one of {} channels, {} bytes and {:,} samples a second".format(*kind))
