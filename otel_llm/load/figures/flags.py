"""Flags of a request that is odd. It stays in all figures, and oddities are counted beside them."""

from collections.abc import Mapping
from typing import Final

__all__ = ["FLAGS"]

FLAGS: Final[Mapping[str, str]] = {
    "apportioned": "the server's total of tokens was shared over the chunks by the length of their text",
    "hidden_reasoning": "the server billed reasoning tokens that it did not stream; they are left out of the pace",
    "usage_disagrees": "the server's count of output tokens is off by more than a tenth from the tokenizer's",
    "usage_below_chunks": "the server counted fewer output tokens than it sent chunks with content",
    "short": "the answer ended for its length before the tokens that were asked for",
    "no_tokens": "the answer ended well without a single token",
    "not_counted": "the tokens could not be counted",
}
"""What each flag of a record says."""
