"""Token counts for answers without usage: by a tokenizer, or by the parser that was given.

The coordinator counts, from the events of an answer: no tokenizer ever runs on the loop that receives packets.
"""

from array import array
from collections.abc import Callable, Sequence
from operator import index
from typing import Any, Final, Protocol

import msgspec

from otel_llm import tokens
from otel_llm.load.asked import Asked
from otel_llm.record import StreamRecord
from otel_llm.wire.protocol import Delta
from otel_llm.wire.protocol import Protocol as WireProtocol
from otel_llm.wire.said import MOST_TOKENS

__all__ = ["Counting", "Counts", "disagrees"]


_SHARE: Final = 0.1
_FEW: Final = 2


def disagrees(said: int, counted: int) -> bool:
    """Return whether two counts of one text differ more than tokenizers and end markers explain.

    >>> disagrees(64, 66), disagrees(164, 64)
    (False, True)
    """
    return abs(said - counted) > max(_FEW, _SHARE * counted)


class Counts(Protocol):
    """Counts tokens: returns (of the prompt, of the answer), None for a number that it does not know."""

    def tokens(self, events: Sequence[str], request: dict[str, Any]) -> tuple[int | None, int | None]: ...


class Counting:
    """Fills in token counts that a record lacks."""

    def __init__(
        self, protocol: type[WireProtocol], counts: Counts, asked: Callable[[int], Asked] = lambda _: Asked()
    ) -> None:
        """asked: returns the lengths that a request of that number asks for"""
        self._protocol, self._counts, self._asked = protocol, counts, asked

    def recount(self, record: StreamRecord, body: bytes, events: Sequence[bytes]) -> StreamRecord:
        """Return a new record with counted tokens; the same record when the answer is not whole.

        The provider's count stands where there is one, and is flagged when the tokenizer's disagrees. A counted total
        is shared over the chunks by the length of their text, as a provider's would be.
        """
        if not record.ok:
            return record
        try:
            deltas = self._deltas(events)
            chunks = [event for event, delta in zip(events, deltas, strict=True) if delta is not None]
            inputs, outputs = self._count(chunks, body)
        except Exception as error:
            flag = f"not_counted: {type(error).__name__}"
            return msgspec.structs.replace(record, flags=(*record.flags, flag))
        wanted = None if record.index is None else self._asked(record.index).input_tokens
        if None not in (inputs, wanted) and inputs != wanted:
            record = msgspec.structs.replace(record, flags=(*record.flags, "prompt_length"))
        if record.token_source == "provider":
            return self._compare(record, outputs)
        if outputs is None:
            return msgspec.structs.replace(record, input_tokens=inputs)
        lengths = [len(delta[1]) for delta in deltas if delta is not None]
        return self._share(record, lengths, inputs, outputs)

    def _share(self, record: StreamRecord, lengths: Sequence[int], inputs: int | None, outputs: int) -> StreamRecord:
        """Return the record with a counted total, shared over its chunks."""
        chunks = record.chunks
        count = len(chunks)
        none = array("I", bytes(4 * count))
        shares, total, source, flags = tokens.resolve(
            chunks.kind,
            none,
            array("I", [*lengths, *[0] * count][:count]),
            provider=None,
            counted=outputs,
            size=sum(chunks.size),
        )
        return msgspec.structs.replace(
            record,
            chunks=chunks.with_tokens(shares),
            input_tokens=inputs,
            output_tokens=total,
            token_source=source,
            flags=(*record.flags, *flags),
        )

    def _count(self, events: Sequence[bytes], body: bytes) -> tuple[int | None, int | None]:
        """Return (of the prompt, of the answer). Raises ValueError or TypeError for what can be no count."""
        counts = self._counts.tokens([event.decode("utf-8", "replace") for event in events], msgspec.json.decode(body))
        prompt, answer = counts
        for count in counts:
            if count is not None and (isinstance(count, bool) or not 0 <= index(count) <= MOST_TOKENS):
                raise ValueError(f"expected counts of 0 to {MOST_TOKENS:,} tokens, got {counts}")
        return None if prompt is None else index(prompt), None if answer is None else index(answer)

    def _compare(self, record: StreamRecord, counted: int | None) -> StreamRecord:
        streamed = (sum(record.chunks.tokens) if record.stream else 0) or record.output_tokens or 0
        if counted is None or not disagrees(streamed, counted):
            return record
        return msgspec.structs.replace(record, flags=(*record.flags, "usage_disagrees"))

    def _deltas(self, events: Sequence[bytes]) -> list[Delta | None]:
        answer = self._protocol()
        return [answer.decode(event) for event in events]
