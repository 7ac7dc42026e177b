"""Images, recordings and videos that go with prompts: drawn ones, or those of a file or folder.

A drawn image is a mosaic of coloured tiles, as PNG: about as many bytes as a photograph of its size compressed well,
made without a library; a drawn recording is noise, as WAV. All are made once, before the run, and used again in turn
where there are more requests.
"""

import base64
import io
import re
import wave
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import pack
from typing import Final

import numpy as np

from otel_llm.errors import ConfigError
from otel_llm.wire.protocol import Media
from otel_llm.wire.sound import PCM_SAMPLES_PER_S

__all__ = ["Supply", "parse_audio", "parse_images", "parse_video"]

_SIZE: Final = re.compile(r"(\d{1,3})x(\d{1,5})x(\d{1,5})")
_LENGTH: Final = re.compile(r"\d+(\.\d+)?s")
_IMAGES: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
}
_AUDIO: Final = {".wav": "audio/wav", ".mp3": "audio/mp3"}
_VIDEO: Final = {".mp4": "video/mp4", ".webm": "video/webm", ".mov": "video/quicktime"}
_DRAWN: Final = 128
"""Different ones that are drawn, at most."""
_TILE: Final = 8
_LARGEST: Final = 8192
_LONGEST_S: Final = 600


@dataclass(frozen=True, slots=True)
class Supply:
    """Media in the order in which they are used, and how many go with a prompt."""

    pool: Sequence[Media]
    each: int

    def of(self, prompt: int) -> Sequence[Media]:
        """Return those of prompt number `prompt`."""
        first = prompt * self.each
        return [self.pool[(first + number) % len(self.pool)] for number in range(self.each)]


def parse_images(text: str, seed: int, prompts: int) -> Supply:
    """Return what --images asks for: COUNTxWIDTHxHEIGHT, or a file, or a folder of them, one with each prompt.

    prompts: how many there are, where that is known: no more images are drawn than they need
    Raises ConfigError for any other text, and for a file that is no image.
    """
    if (size := _SIZE.fullmatch(text)) is None:
        return Supply(_files("--images COUNTxWIDTHxHEIGHT, an image or a folder of them", text, _IMAGES), 1)
    count, width, height = map(int, size.groups())
    if not (count and 0 < width <= _LARGEST and 0 < height <= _LARGEST):
        raise ConfigError(f"--images with a count above 0 and sides of 1 to {_LARGEST} pixels", text)
    number = max(count, min(_DRAWN, count * prompts))
    return Supply([_draw(width, height, f"{seed} {index}") for index in range(number)], count)


def parse_audio(text: str, seed: int, prompts: int, samples_per_s: int = PCM_SAMPLES_PER_S) -> Supply:
    """Return what --audio asks for: SECONDSs of noise, or a file, or a folder of them. As `parse_images`.

    samples_per_s: of the noise
    """
    if _LENGTH.fullmatch(text) is None:
        return Supply(_files("--audio 5s, a recording or a folder of them", text, _AUDIO), 1)
    seconds = float(text.removesuffix("s"))
    if not 0.1 <= seconds <= _LONGEST_S:
        raise ConfigError(f"--audio of 0.1s to {_LONGEST_S}s", text)
    number = max(1, min(_DRAWN, prompts))
    return Supply([_noise(seconds, samples_per_s, f"{seed} {index}") for index in range(number)], 1)


def parse_video(text: str, _seed: int, _prompts: int) -> Supply:
    """Return what --video asks for: a file, or a folder of them. As `parse_images`."""
    return Supply(_files("--video with a video or a folder of them", text, _VIDEO), 1)


def _files(expected: str, text: str, types: Mapping[str, str]) -> list[Media]:
    path = Path(text).expanduser()
    try:
        files = sorted(each for each in path.iterdir() if each.suffix.lower() in types) if path.is_dir() else [path]
        if not files or any(file.suffix.lower() not in types for file in files):
            raise ConfigError(expected, path, f"give {', '.join(types)}")
        return [Media(types[file.suffix.lower()], base64.b64encode(file.read_bytes()).decode()) for file in files]
    except OSError as error:
        raise ConfigError(expected, error) from None


def _noise(seconds: float, samples_per_s: int, seed: str) -> Media:
    """Return a WAV of noise in samples of 16 bits, no two alike."""
    random = np.random.default_rng(zlib.crc32(seed.encode()))
    to = io.BytesIO()
    with wave.open(to, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(samples_per_s)
        file.writeframes(random.integers(-3000, 3000, round(seconds * samples_per_s), np.int16).tobytes())
    return Media("audio/wav", base64.b64encode(to.getvalue()).decode())


def _draw(width: int, height: int, seed: str) -> Media:
    """Return a PNG of random tiles, no two alike."""
    random = np.random.default_rng(zlib.crc32(seed.encode()))
    tiles = random.integers(0, 256, (-(-height // _TILE), -(-width // _TILE), 3), np.uint8)
    pixels = tiles.repeat(_TILE, 0).repeat(_TILE, 1)[:height, :width].reshape(height, width * 3)
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels], axis=1)  # each begins with its filter: none
    parts = (
        (b"IHDR", pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.tobytes(), 1)),
        (b"IEND", b""),
    )
    framed = (pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data)) for kind, data in parts)
    return Media("image/png", base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(framed)).decode())
