"""How many tokens an answer had, and who says so.

The order is fixed: what the provider billed, else what a local tokenizer counted, else one per token-bearing chunk.
Nothing is guessed: a count that comes from chunks is marked so wherever it is shown.
"""

from array import array
from collections.abc import Sequence
from typing import Final

from otel_llm.record import CONTENT_KINDS, REASONING, TokenSource

__all__ = ["apportion", "resolve"]

_BEARS: Final = bytes(kind in CONTENT_KINDS for kind in range(256))
_PROVIDER: Final[TokenSource] = "provider"
_COUNTED: Final[TokenSource] = "counted"
_CHUNKS: Final[TokenSource] = "chunks"


def apportion(total: int, lengths: Sequence[int]) -> list[int]:
    """Return `total` split over items in proportion to their `lengths` (whole numbers, largest remainders first).

    Each item gets at least one where there are enough: a chunk that bore text bore a token.

    >>> apportion(4, [1, 1, 6])
    [1, 1, 2]
    """
    count = len(lengths)
    if not count:
        return []
    floor = 1 if total >= count else 0
    spare, weight = total - floor * count, sum(lengths)
    shares = [spare * (n / weight if weight else 1 / count) for n in lengths]
    whole = [int(share) for share in shares]
    by_remainder = sorted(range(count), key=lambda i: (whole[i] - shares[i], i))
    for i in by_remainder[: spare - sum(whole)]:
        whole[i] += 1
    return [floor + n for n in whole]


def resolve(
    kinds: "array[int]",
    marked: "array[int]",
    lengths: "array[int]",
    *,
    provider: int | None,
    hidden: int | None = None,
    counted: int | None = None,
) -> tuple["array[int]", int | None, TokenSource | None, tuple[str, ...]]:
    """Return (tokens per chunk, output tokens, their source, flags) of one answer.

    kinds:    kind of each chunk
    marked:   tokens that each chunk claimed for itself, 0 for "not known"
    lengths:  characters of text of each chunk, what a total is apportioned by
    provider: output tokens the provider billed, None when it said nothing
    hidden:   how many of those were reasoning; they are taken off when no reasoning was streamed (`hidden_reasoning`)
    counted:  what a tokenizer counted in the joined text

    The tokens per chunk sum to the tokens *streamed*, which is what gaps and TPOT are divided by.
    """
    bears = kinds.tobytes().translate(_BEARS)
    count = bears.count(1)
    flags: tuple[str, ...] = ()
    total, source = provider, _PROVIDER
    if total is None:
        total, source = counted, _COUNTED
    streamed = total
    if streamed is None:
        if not count:
            return array("I", bytes(4 * len(kinds))), None, None, flags
        source = _CHUNKS
        streamed = total = (
            sum(max(marked[i], 1) for i in range(len(kinds)) if bears[i]) if marked.tobytes().strip(b"\0") else count
        )
    elif provider is not None and hidden and REASONING not in kinds:
        streamed, flags = max(streamed - hidden, 0), ("hidden_reasoning",)
    if streamed == count:
        return array("I", (1,)) * count if count == len(bears) else array("I", list(bears)), total, source, flags
    where = [i for i in range(len(kinds)) if bears[i]]
    shares = [max(marked[i], 1) for i in where]
    if sum(shares) != streamed:
        shares = apportion(streamed, [lengths[i] for i in where])
        flags += ("apportioned",) if where else ()
    tokens = array("I", bytes(4 * len(kinds)))
    for i, share in zip(where, shares, strict=True):
        tokens[i] = share
    return tokens, total, source, flags
