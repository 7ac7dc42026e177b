"""Answers that are not heard to their end: a share of the users leaves, or has the server stop, after a time.

    5%:500ms    of a hundred requests about five, after half a second
    0.05:0.5    the same

Which requests these are depends on the seed and on the number of the request alone.
"""

import math
from dataclasses import dataclass
from hashlib import blake2b

from otel_llm.errors import ConfigError
from otel_llm.units import parse_seconds, parse_share

__all__ = ["Leaving", "parse_barge_in", "parse_leaving"]


@dataclass(frozen=True, slots=True)
class Leaving:
    """`share` of the requests, `after_s` seconds after they were sent, where their answer has not ended.

    word: what is done to them; those of two words are not the same requests
    """

    share: float
    after_s: float
    word: str = "leave"

    def takes(self, seed: int, request: int) -> bool:
        """Return whether a request is one of them."""
        digest = blake2b(f"{self.word} {seed} {request}".encode(), digest_size=7).digest()
        return int.from_bytes(digest) < self.share * (1 << 56)


def parse_leaving(text: str) -> Leaving:
    """Return what --cancel SHARE:TIME says. Raises ConfigError for anything else."""
    return _parse("--cancel", text, "leave")


def parse_barge_in(text: str) -> Leaving:
    """Return what --barge-in SHARE:TIME says. Raises ConfigError for anything else."""
    return _parse("--barge-in", text, "barge in")


def _parse(option: str, text: str, word: str) -> Leaving:
    share, _, after = text.partition(":")
    try:
        leaving = Leaving(parse_share(share), parse_seconds(after), word)
    except ValueError as error:
        raise ConfigError(f"{option} SHARE:TIME, such as 5%:500ms", text) from error
    if not (0 < leaving.share <= 1 and 0 < leaving.after_s < math.inf):
        raise ConfigError(f"{option} of a share above 0 and up to 1, after a time above 0", text)
    return leaving
