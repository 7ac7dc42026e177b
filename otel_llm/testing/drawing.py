"""Streams drawn as text: the record of `r..a.bb.c|`, ten milliseconds a character."""

from collections.abc import Callable
from typing import Any, Final

from otel_llm.observation import StreamObservation
from otel_llm.record import AUDIO, IMAGE, MEDIA_KINDS, OTHER, PADDING, REASONING, TEXT, TOOL, StreamRecord
from otel_llm.testing.clock import FakeClock

__all__ = ["MS", "timeline"]

MS: Final = 1_000_000

_KINDS: Final = {"_": PADDING, "?": REASONING, "*": TOOL, "$": OTHER, "&": AUDIO, "#": IMAGE}
_ENDS: Final[dict[str, Callable[[StreamObservation], None]]] = {
    "|": lambda obs: obs.end(),
    "x": lambda obs: obs.fail("RuntimeError", "broke"),
    "^": lambda obs: obs.cancel("CancelledError"),
    "<": lambda obs: obs.close_early(),
    "~": lambda obs: obs.abandon(),
}


def timeline(
    drawing: str,
    *,
    step_ns: int = 10 * MS,
    clock: FakeClock | None = None,
    on_finish: Callable[[StreamRecord], object] | None = None,
    usage: int | None = None,
    **head: Any,
) -> StreamRecord:
    """Return the record of a stream drawn as text, `step_ns` a character.

    r        the request is sent        i        the moment it was meant to be sent
    a to q   a chunk of one token       2 to 9   a chunk of that many tokens
    _ ? * $ &  a role or empty chunk, a chunk of reasoning, of a tool call, of usage, of sound
    (...)    what is inside arrives in one read, at the place of the opening bracket, and takes one step
    |        complete, x error, ^ cancelled, < closed early, ~ abandoned
    .        nothing happens

    usage: output tokens that the provider bills; text lengths are the tokens drawn, so that a total is shared by them
    """
    clock = clock or FakeClock()
    obs: StreamObservation | None = None
    inside, reads = False, 0
    for character in drawing:
        if character == "r":
            obs = StreamObservation(on_finish, clock=clock, stream=True, **head)
        elif character == "i":
            head["intended_ns"] = clock.now_ns()
        elif character == ".":
            pass
        elif character in "()":
            inside = character == "("
            reads += inside
        elif obs is None:
            raise ValueError(f"expected r before {character!r} in {drawing!r}")
        elif character in _ENDS:
            if usage is not None:
                obs.usage(output=usage)
            _ENDS[character](obs)
        else:
            reads += not inside
            kind = _KINDS.get(character, TEXT)
            tokens = int(character) if character.isdigit() else 1
            bears = 0 if kind in (PADDING, OTHER, *MEDIA_KINDS) else tokens
            obs.mark_read(clock.now_ns(), read=reads, size=100, length=tokens, kind=kind, tokens=bears)
        if not inside:
            clock.advance(ns=step_ns)
    if obs is None or obs.record is None:
        raise ValueError(f"expected a drawing that sends (r) and ends (| x ^ < ~), got {drawing!r}")
    return obs.record
