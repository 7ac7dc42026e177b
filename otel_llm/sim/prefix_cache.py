"""A prefix cache as inference engines have one: whole blocks of tokens, each known by all tokens up to its end."""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from itertools import islice

__all__ = ["PrefixCache"]


class PrefixCache:
    """Blocks of `block_tokens` tokens, the least recently used of them given up beyond `size`; 0 is no limit."""

    def __init__(self, block_tokens: int, size: int = 0) -> None:
        self._block_tokens, self._size = block_tokens, size
        self._blocks: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blocks)

    def take(self, tokens: Sequence[str]) -> int:
        """Return how many of a prompt's first tokens were cached, and cache all its whole blocks.

        As in vLLM the last token is never taken from the cache: something has to be computed for the first answer.
        """
        if not self._block_tokens:
            return 0
        names = self._names(tokens)
        cached = 0
        for name in islice(names, max(len(tokens) - 1, 0) // self._block_tokens):
            if name not in self._blocks:
                break
            cached += self._block_tokens
        for name in reversed(names):  # the beginning of a prompt is what others share, and stays longest
            self._blocks[name] = None
            self._blocks.move_to_end(name)
        while self._size and len(self._blocks) > self._size:
            self._blocks.popitem(last=False)
        return cached

    def _names(self, tokens: Sequence[str]) -> list[bytes]:
        """Return a name for each whole block: a digest of it and of all before it."""
        size, digest, names = self._block_tokens, blake2b(digest_size=16), list[bytes]()
        for start in range(0, len(tokens) - size + 1, size):
            digest.update("\0".join(tokens[start : start + size]).encode() + b"\1")
            names.append(digest.digest())
        return names
