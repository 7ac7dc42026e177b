"""Speech: a recording that is sent while it is made, 40 ms of silence for each token of the other protocols."""

from collections.abc import Mapping
from struct import pack
from typing import Final

from otel_llm.sim.formats.format import Format, Json
from otel_llm.wire.sound import PCM_BYTES_PER_S

__all__ = ["SOUND_OF_A_TOKEN", "Speech"]

SOUND_OF_A_TOKEN: Final = bytes(1920)
"""40 ms of silence: 24,000 samples a second of 16 bits."""

_ENDLESS = 0xFFFFFFFF
_HEADER = b"RIFF%bWAVEfmt %bdata%b" % (
    pack("<I", _ENDLESS),
    pack("<IHHIIHH", 16, 1, 1, 24_000, PCM_BYTES_PER_S, 2, 16),
    pack("<I", _ENDLESS),
)
"""Of a WAV whose length is not known yet."""


class Speech(Format):
    """`/v1/audio/speech`, as WAV, whatever is asked for. Its errors inside an answer are a connection that ends."""

    prompt = "input"
    content_type = "audio/wav"

    @classmethod
    def streams(cls, fields: Json, path: str, headers: Mapping[str, str]) -> bool:
        return True

    def comment(self) -> bytes:
        return b""

    def begin(self) -> tuple[bytes, int]:
        return _HEADER, 1

    def text(self, tokens: int, so_far: int, *, thought: bool, finish: str | None = None) -> tuple[bytes, int]:
        return SOUND_OF_A_TOKEN * tokens, 1

    def tail(self, tokens: int, finish: str) -> tuple[bytes, int]:
        return b"", 0

    def bad_json(self) -> bytes:
        return b""

    def stream_error(self) -> bytes:
        return b""
