"""What an answer states about itself."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

__all__ = ["LONGEST_S", "MOST_TOKENS", "WORDS", "Said", "without_surrogates"]

MOST_TOKENS: Final = 10**8
"""A count above this is no count: no model's context comes near it."""

LONGEST_S: Final = 1e6
"""A duration above this is none: no request takes longer."""

WORDS: Final = 2000
"""Characters of a server's own words that are kept."""

_COUNTS: Final = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
_REASONS: Final = 128
_REPLACED: Final = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


class Said(msgspec.Struct, array_like=True):
    """Facts that a server puts into its answer, as far as it has been read. Token counts are totals so far.

    All but `error` have the names that they have in `StreamRecord`, which takes them (`StreamObservation.take`).

    error: (type, message) that the server reports inside an answer that began well
    flags: what is odd about the answer (`otel_llm.load.figures.flags`)
    server: how long the server says that it took, seconds by the names of `otel_llm.record.ServerTimes`, and `source`,
            a tuple of who says so
    audio_s: seconds of sound, of the answer so far or of what is transcribed
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    finish_reasons: tuple[str, ...] = ()
    response_model: str | None = None
    response_id: str | None = None
    error: tuple[str, str] | None = None
    flags: tuple[str, ...] = ()
    server: dict[str, Any] | None = None
    audio_s: float | None = None

    def finish(self, reason: str) -> None:
        """Note a finish reason. A server that repeats it with every event is not listened to for ever."""
        if len(self.finish_reasons) < _REASONS:
            self.finish_reasons += (reason,)

    def flag(self, name: str) -> None:
        """Note an oddity, once."""
        if name not in self.flags:
            self.flags += (name,)

    def add_times(self, others: Mapping[str, Any] | None) -> None:
        """Add what another place of the answer says, such as its head: what was said before counts."""
        if others is not None:
            own = self.server or {}
            self.server = {**others, **own, "source": (*own.get("source", ()), *others["source"])}

    def settle(self) -> None:
        """Leave nothing that cannot be sent on and written down, whatever the server or a plugin put here.

        A count that is none (negative, huge, of another type) becomes None, and the answer is flagged.
        """
        for name in _COUNTS:
            value = getattr(self, name)
            if value is not None and not (value.__class__ is int and 0 <= value <= MOST_TOKENS):
                setattr(self, name, None)
                self.flag("usage_refused")
        self.server = _times(self.server)
        self.audio_s = float(self.audio_s) if _is_duration(self.audio_s) else None  # type: ignore[arg-type]
        self.finish_reasons = tuple(map(_words, self.finish_reasons[:_REASONS]))
        self.response_model = None if self.response_model is None else _words(self.response_model)
        self.response_id = None if self.response_id is None else _words(self.response_id)
        if self.error is not None:
            kind, message = (
                self.error if isinstance(self.error, tuple) and len(self.error) == 2 else ("error", self.error)
            )
            self.error = _words(kind), _words(message)


def without_surrogates(text: str) -> str:
    """Return the text with U+FFFD in place of each half of a character, which UTF-8 cannot write."""
    return text if text.isascii() else text.translate(_REPLACED)


def _times(said: object) -> dict[str, Any] | None:
    """Return what was said without what is no duration; None where nothing is left."""
    if not isinstance(said, dict):
        return None
    found = {name: float(value) for name, value in said.items() if _is_duration(value)}
    return {"source": tuple(map(str, said.get("source") or ())), **found} if found else None


def _is_duration(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LONGEST_S


def _words(value: object) -> str:
    return without_surrogates(str(value)[:WORDS])
