"""Users who leave before their answer has ended: a share of the requests, each so long after it was sent.

    5%:500ms    of a hundred requests about five, after half a second
    0.05:0.5    the same

Which requests these are depends on the seed and on the number of the request alone.
"""

import math
from dataclasses import dataclass
from hashlib import blake2b

from otel_llm.errors import ConfigError
from otel_llm.units import parse_seconds, parse_share

__all__ = ["Leaving", "parse_leaving"]


@dataclass(frozen=True, slots=True)
class Leaving:
    """`share` of the requests are left `after_s` seconds after they were sent, where their answer has not ended."""

    share: float
    after_s: float

    def leaves(self, seed: int, request: int) -> bool:
        """Return whether the user of a request leaves."""
        digest = blake2b(f"leave {seed} {request}".encode(), digest_size=7).digest()
        return int.from_bytes(digest) < self.share * (1 << 56)


def parse_leaving(text: str) -> Leaving:
    """Return what SHARE:TIME says. Raises ConfigError for anything else."""
    share, _, after = text.partition(":")
    try:
        leaving = Leaving(parse_share(share), parse_seconds(after))
    except ValueError as error:
        raise ConfigError("--cancel SHARE:TIME, such as 5%:500ms", text) from error
    if not (0 < leaving.share <= 1 and 0 < leaving.after_s < math.inf):
        raise ConfigError("--cancel of a share above 0 and up to 1, after a time above 0", text)
    return leaving
