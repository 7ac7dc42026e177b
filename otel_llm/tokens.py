"""How many tokens an answer had, and who says so.

The order is fixed: what the provider billed, else what a local tokenizer counted, else one per token-bearing chunk.
Nothing is guessed: a count that comes from chunks is marked so wherever it is shown.
"""

from array import array
from collections.abc import Sequence
from typing import Final

from otel_llm.record import CONTENT_KINDS, PADDING, REASONING, TokenSource

__all__ = ["apportion", "resolve"]

_BEARS: Final = bytes(kind in CONTENT_KINDS for kind in range(256))
_ALWAYS: Final = 4096
"""Tokens that an answer may have brought whatever its size: so many values cost nothing."""

_FEW: Final = 0.05
"""Share of the tokens that may have come behind the last one with content before the pace is off by too much."""

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
    size: int | None = None,
) -> tuple["array[int]", int | None, TokenSource | None, tuple[str, ...]]:
    """Return (tokens per chunk, output tokens, their source, flags) of one answer.

    kinds:    kind of each chunk
    marked:   tokens that each chunk claimed for itself, 0 for "not known"
    lengths:  characters of text of each chunk, what a total is apportioned by
    provider: output tokens the provider billed, None when it said nothing
    hidden:   how many of those were reasoning; they are taken off when no reasoning was streamed (`hidden_reasoning`)
    counted:  what a tokenizer counted in the joined text
    size:     bytes of the answer, which cannot hold more tokens than that; None for no limit

    The tokens per chunk sum to the tokens *streamed*, which is what gaps and TPOT are divided by. Where those cannot be
    told from the chunks they are all 0, so that no pace comes of them (`pace_unknown`).
    """
    bears = kinds.tobytes().translate(_BEARS)
    count = bears.count(1)
    flags: tuple[str, ...] = ()
    if provider == 0 and count:  # nobody counted
        provider, flags = None, ("usage_zero",)
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
        streamed, flags = max(streamed - hidden, 0), (*flags, "hidden_reasoning")
    if size is not None and streamed > max(size, _ALWAYS):
        streamed, flags = count, (*flags, "usage_beyond_answer")
    if streamed == count:
        return array("I", (1,)) * count if count == len(bears) else array("I", list(bears)), total, source, flags
    tokens, how = _share(streamed, bears, kinds, marked, lengths)
    return tokens, total, source, flags + how


def _share(
    streamed: int, bears: bytes, kinds: "array[int]", marked: "array[int]", lengths: "array[int]"
) -> tuple["array[int]", tuple[str, ...]]:
    """Return (tokens per chunk, flags) where the chunks with content are not as many as the tokens.

    A chunk without content may be a token all the same, if it comes behind the first one with content: engines send one
    for a special token, or for half a letter.
    """
    where = [i for i, bearing in enumerate(bears) if bearing]
    if not where:
        return array("I", bytes(4 * len(bears))), ()
    claims = [max(marked[i], 1) if bears[i] else 0 for i in range(len(bears))]
    if sum(claims) != streamed:
        claims[where[0] :] = [claim or marked[i] for i, claim in enumerate(claims[where[0] :], where[0])]
    if sum(claims) == streamed:
        return array("I", claims), ()
    silent = [i for i in range(where[0], len(bears)) if kinds[i] == PADDING]
    spare = streamed - len(where)
    if silent and len(silent) == spare:
        shares = dict.fromkeys((*where, *silent), 1)
        flags: tuple[str, ...] = ("silent_tokens",) if spare > 1 else ()
    elif (late := min(spare, sum(i > where[-1] for i in silent))) > 1 and late > _FEW * streamed:
        shares, flags = {}, ("pace_unknown",)
    else:
        shares = dict(zip(where, apportion(streamed, [lengths[i] for i in where]), strict=True))
        flags = ("apportioned",)
    return array("I", [shares.get(i, 0) for i in range(len(bears))]), flags
