"""Images that go with prompts: drawn ones of a size, or those of a file or folder.

A drawn image is a mosaic of coloured tiles, as PNG: about as many bytes as a photograph of its size compressed well,
made without a library. Images are made once, before the run, and used again in turn where there are more requests.
"""

import base64
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import pack
from typing import Final

import numpy as np

from otel_llm.errors import ConfigError
from otel_llm.wire.protocol import Image

__all__ = ["Images", "parse_images"]

_SIZE: Final = re.compile(r"(\d{1,3})x(\d{1,5})x(\d{1,5})")
_TYPES: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
}
_DRAWN: Final = 128
"""Different images of a size, at most."""
_TILE: Final = 8
_LARGEST: Final = 8192


@dataclass(frozen=True, slots=True)
class Images:
    """Images in the order in which they are used, and how many go with a prompt."""

    pool: Sequence[Image]
    each: int

    def of(self, prompt: int) -> Sequence[Image]:
        """Return the images of prompt number `prompt`."""
        first = prompt * self.each
        return [self.pool[(first + number) % len(self.pool)] for number in range(self.each)]


def parse_images(text: str, seed: int, prompts: int) -> Images:
    """Return what --images asks for: COUNTxWIDTHxHEIGHT, or a file, or a folder of them, one with each prompt.

    prompts: how many there are, where that is known: no more images are drawn than they need
    Raises ConfigError for any other text, and for a file that is no image.
    """
    if (size := _SIZE.fullmatch(text)) is None:
        return Images(list(_files(Path(text).expanduser())), 1)
    count, width, height = map(int, size.groups())
    if not (count and 0 < width <= _LARGEST and 0 < height <= _LARGEST):
        raise ConfigError(f"--images with a count above 0 and sides of 1 to {_LARGEST} pixels", text)
    number = max(count, min(_DRAWN, count * prompts))
    return Images([_draw(width, height, f"{seed} {index}") for index in range(number)], count)


def _files(path: Path) -> Iterator[Image]:
    try:
        files = sorted(each for each in path.iterdir() if each.suffix.lower() in _TYPES) if path.is_dir() else [path]
        if not files or any(file.suffix.lower() not in _TYPES for file in files):
            raise ConfigError(
                "--images COUNTxWIDTHxHEIGHT, an image or a folder of them", path, f"give {', '.join(_TYPES)}"
            )
        for file in files:
            yield Image(_TYPES[file.suffix.lower()], base64.b64encode(file.read_bytes()).decode())
    except OSError as error:
        raise ConfigError("--images COUNTxWIDTHxHEIGHT, an image or a folder of them", error) from None


def _draw(width: int, height: int, seed: str) -> Image:
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
    return Image("image/png", base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(framed)).decode())
