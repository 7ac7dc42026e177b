"""What is odd about an answer that arrived whole. It stays in all figures; oddities are flagged and counted."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from otel_llm.record import CONTENT_KINDS, StreamRecord

__all__ = ["FLAGS", "disagrees", "scrutinise"]

FLAGS: Final[Mapping[str, str]] = {
    "apportioned": "the server's total of tokens was shared over the chunks by the length of their text",
    "hidden_reasoning": "the server billed reasoning tokens that it did not stream; they are left out of the pace",
    "usage_disagrees": "the server's count of output tokens is off by more than a tenth from the tokenizer's",
    "usage_below_chunks": "the server counted fewer output tokens than it sent chunks with content",
    "short": "the answer ended for its length before the tokens that were asked for",
    "no_tokens": "the answer ended well without a single token",
    "not_counted": "the tokens could not be counted",
}
"""Flags of a record, and what each says. They stay in every figure; nothing is dropped."""

_LENGTH: Final = frozenset(("length", "max_tokens", "MAX_TOKENS", "max_output_tokens"))
_LIMITS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens", "max_new_tokens", "num_predict")
_NESTED: Final = ("parameters", "options")
_BEARS: Final = bytes(kind in CONTENT_KINDS for kind in range(256))
_SHARE: Final = 0.1
_FEW: Final = 2


def scrutinise(record: StreamRecord, body: bytes) -> StreamRecord:
    """Return the record with a flag for each oddity; the same record when there is none."""
    found = tuple(_found(record, body)) if record.ok else ()
    return msgspec.structs.replace(record, flags=(*record.flags, *found)) if found else record


def disagrees(said: int, counted: int) -> bool:
    """Return whether two counts of one text differ more than tokenizers and end markers explain.

    >>> disagrees(64, 66), disagrees(164, 64)
    (False, True)
    """
    return abs(said - counted) > max(_FEW, _SHARE * counted)


def _found(record: StreamRecord, body: bytes) -> Iterator[str]:
    tokens = record.output_tokens
    bearing = record.chunks.kind.tobytes().translate(_BEARS).count(1)
    if not tokens and not bearing:
        yield "no_tokens"
    elif record.token_source == "provider" and record.stream and tokens is not None and tokens < bearing:
        yield "usage_below_chunks"
    if tokens is not None and not _LENGTH.isdisjoint(record.finish_reasons):
        limit = _limit(body)
        if limit is not None and tokens < limit:
            yield "short"


def _limit(body: bytes) -> int | None:
    """Return how many tokens the request allowed, where it says so."""
    try:
        asked = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return None
    places: list[Mapping[str, Any]] = [asked, *(asked[name] for name in _NESTED if isinstance(asked.get(name), dict))]
    found = (place.get(name) for place in places for name in _LIMITS)
    return next((limit for limit in found if isinstance(limit, int)), None)
