"""What an answer is that failed, in the server's own words where it has any."""

from typing import Final

import msgspec

from otel_llm.errors import RemoteError
from otel_llm.record import BRINGING_KINDS, OTHER
from otel_llm.wire.protocol import Protocol
from otel_llm.wire.said import WORDS
from otel_llm.wire.server_words import error_in

__all__ = ["failure_of", "find_failure"]

Failure = tuple[str, str]
"""(kind, message)"""

_BILL: Final = bytes((OTHER,))


def failure_of(error: Exception, event: bytes) -> Failure:
    """Return what it is that reading an event raised an error."""
    if isinstance(error, RemoteError):
        return error.kind, str(error)
    theirs = isinstance(error, ValueError | msgspec.MsgspecError | RecursionError)
    return "bad_event" if theirs else "plugin_error", f"{type(error).__name__}: {error}{_quote(event)}"


def find_failure(
    plugin: Protocol, kinds: bytes, silent: bytes, opening: bytes, *, finish_reason: bool
) -> Failure | None:
    """Return why an answer that came to its end is none; None when it is whole.

    kinds:         of its chunks
    silent:        its latest event without content, b"" for none
    opening:       how a body begins of which no event came
    finish_reason: whether an answer without one was cut short, where its protocol has one
    """
    said = plugin.said
    if (error := said.error) is not None:
        if error[1] in ("", "True"):  # {"error": true, "message": ...}: its neighbours say it
            error = error_in(silent) or error
        return "stream_error", ": ".join(error)
    if said.finish_reasons:
        return None
    if (error := error_in(silent or opening)) is not None:
        return "stream_error", ": ".join(error)
    if not finish_reason and (said.output_tokens or any(map(kinds.count, BRINGING_KINDS))):
        return None
    if not plugin.finishes and kinds:
        return None
    if plugin.done and kinds[-1:] == _BILL and said.output_tokens:
        said.flag("no_finish_reason")  # but the bill came by itself, and the end marker: nothing is missing
        return None
    if not kinds:
        return "no_finish", f"the answer ended without an event{_quote(opening)}"
    return "no_finish", "the answer ended without a finish reason; --no-finish-reason takes it as whole"


def _quote(words: bytes) -> str:
    return f"; the server said: {words[:WORDS].decode('utf-8', 'replace')}" if words else ""
