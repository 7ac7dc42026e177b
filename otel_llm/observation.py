"""The open state of one call: marks while it streams, then one record, exactly once.

Whoever makes a call (the decorator, `BaseLLM`, an adapter) opens an observation, marks what arrives and ends it. The
load generator replays it: an observation is told in one breath what a worker had noted (`load/coordinator/reckoning`).
Every path out of a call leads to one of five ends; the first one counts and the rest are no-ops.
"""

import logging
from array import array
from collections.abc import Callable
from typing import Any, Final

import msgspec

from otel_llm import tokens as token_counts
from otel_llm.clock import SYSTEM, Clock
from otel_llm.record import KIND_NAMES, TEXT, Chunks, Outcome, ServerTimes, StreamRecord, TokenSource

__all__ = ["StreamObservation"]

_NUMBERS: Final = array("I", range(1, 4097))
_KIND_OF: Final[dict[str | int, int]] = {
    **{name: kind for kind, name in enumerate(KIND_NAMES)},
    **{kind: kind for kind in range(len(KIND_NAMES))},
}
_NOT_KNOWN: Final = 0
_NO_CHUNKS: Final = Chunks()
_log: Final = logging.getLogger("otel_llm")
_told: Final[set[str]] = set()
_HEAD: Final = frozenset(StreamRecord.__struct_fields__) - {"chunks", "sent_ns", "ended_ns", "outcome", "token_source"}


class StreamObservation:
    """One call under observation.

    `head` takes every field of `StreamRecord` that is known beforehand; `set` adds what is learnt on the way. A
    mark is array appends and nothing else: no object, no lock, no attributes. `on_finish` gets the record once.
    """

    __slots__ = (
        "__weakref__",
        "_at",
        "_counted",
        "_hidden",
        "_kind",
        "_lag",
        "_length",
        "_on_finish",
        "_once",
        "_provider",
        "_read",
        "_size",
        "_tokens",
        "head",
        "now",
        "record",
        "sent_ns",
    )

    def __init__(
        self,
        on_finish: Callable[[StreamRecord], object] | None = None,
        *,
        clock: Clock = SYSTEM,
        sent_ns: int | None = None,
        **head: Any,
    ) -> None:
        self.sent_ns = clock.now_ns() if sent_ns is None else sent_ns
        self._on_finish = on_finish
        self.head: dict[str, Any] = {}
        self.set(**head)
        self.record: StreamRecord | None = None
        self._at, self._kind, self._tokens = array("q"), array("B"), array("I")
        self._lag, self._read, self._size, self._length = array("q"), array("I"), array("I"), array("I")
        self._provider: int | None = None
        self._hidden: int | None = None
        self._counted: int | None = None
        self._once = [True]
        self.now = clock.now_ns

    # -- while it runs -----------------------------------------------------------------------------------------

    def mark(self, tokens: int = 1, kind: str | int = TEXT, *, at_ns: int | None = None) -> None:
        """Note a chunk that arrived now, or at `at_ns`.

        tokens: how many it brought, 0 when the chunk itself does not say
        kind:   "text", "reasoning", "tool", or "padding" for a role or an empty delta, "other" for usage

        Never raises: a kind or a number that cannot be used is logged once, and the chunk counts as text whose tokens
        are not known.
        """
        at = self.now() if at_ns is None else at_ns
        try:
            code = _KIND_OF[kind]
            self._tokens.append(tokens)  # the columns stay of one length: it is the first append, and it may refuse
        except (KeyError, TypeError, OverflowError):
            code = _usable_kind(kind, tokens)
            self._tokens.append(_NOT_KNOWN)
        self._at.append(at)
        self._kind.append(code)

    def mark_read(
        self, at_ns: int, *, read: int, size: int, length: int, kind: int, tokens: int = 0, lag_ns: int = 0
    ) -> None:
        """Note a chunk of a socket read: what `mark` notes, and what only a reader of sockets knows.

        read:   number of the read it came in; chunks of one read arrived together
        size:   bytes of the event; length: characters of its text, by which a total of tokens is shared out
        lag_ns: how long its read waited in the kernel before it was taken

        An observation is marked with this or with `mark`, not with both.
        """
        self._at.append(at_ns)
        self._lag.append(lag_ns)
        self._read.append(read)
        self._size.append(size)
        self._tokens.append(tokens)
        self._length.append(length)
        self._kind.append(kind)

    def mark_all(self, at_ns: "array[int]", kind: "array[int]", tokens: "array[int]") -> None:
        """Note chunks that were stamped elsewhere, oldest first: what `mark` notes, as columns of equal length."""
        self._at.extend(at_ns)
        self._kind.extend(kind)
        self._tokens.extend(tokens)

    def restart(self) -> None:
        """Start the clock again, unless something has arrived: what went before was no part of the call.

        For what happens once in a process and not in the next call, such as loading a model.
        """
        if not self._at:
            self.sent_ns = self.now()

    def set(self, **fields: Any) -> None:
        """Fill fields of the coming record. Raises TypeError for a name that a record does not have."""
        if not _HEAD.issuperset(fields):
            raise TypeError(f"expected fields of StreamRecord, got {sorted(set(fields) - _HEAD)}")
        self.head.update(fields)

    def take(self, said: msgspec.Struct) -> None:
        """Take what an answer stated about itself: each field that a record has too and whose value is not None."""
        facts = {name: value for name in said.__struct_fields__ if (value := getattr(said, name)) is not None}
        if "server" in facts:
            facts["server"] = ServerTimes.of(facts["server"])
        self.usage(output=facts.pop("output_tokens", None), reasoning=facts.get("reasoning_tokens"))
        self.head.update((name, value) for name, value in facts.items() if name in _HEAD)

    def usage(
        self,
        *,
        input: int | None = None,  # noqa: A002  # the convention's own word
        output: int | None = None,
        cached: int | None = None,
        cache_written: int | None = None,
        reasoning: int | None = None,
    ) -> None:
        """Take the provider's token counts, those that are given. What a cache read and wrote is part of the input."""
        if output is not None:
            self._provider = output
        if reasoning is not None:
            self._hidden = self.head["reasoning_tokens"] = reasoning
        if input is not None:
            self.head["input_tokens"] = input
        if cached is not None:
            self.head["cached_tokens"] = cached
        if cache_written is not None:
            self.head["cache_written_tokens"] = cache_written

    def counted(self, output: int) -> None:
        """Take a tokenizer's count of the whole output. The provider's count, if there is one, still wins."""
        self._counted = output

    @property
    def open(self) -> bool:
        """Whether none of the five ends has been reached."""
        return bool(self._once)

    @property
    def last_ns(self) -> int | None:
        """When the last chunk arrived, None before the first one."""
        return self._at[-1] if self._at else None

    def __len__(self) -> int:
        return len(self._at)

    # -- the five ends -----------------------------------------------------------------------------------------

    def end(self, at_ns: int | None = None) -> None:
        """The answer is complete."""
        self._finish("complete", self.now() if at_ns is None else at_ns)

    def fail(self, error: BaseException | str, message: str | None = None, *, at_ns: int | None = None) -> None:
        """It broke. `error` is an exception, or the error type as it is to be counted."""
        at = self.now() if at_ns is None else at_ns
        if isinstance(error, BaseException):
            self._finish("error", at, error_type(error), str(error) if message is None else message)
        else:
            self._finish("error", at, error, message)

    def cancel(self, error: BaseException | str = "cancelled", *, at_ns: int | None = None) -> None:
        """Who asked for it stopped waiting: a cancelled task, an interrupted run."""
        kind = error_type(error) if isinstance(error, BaseException) else error
        self._finish("cancelled", self._end_of_unfinished(self.now() if at_ns is None else at_ns), kind)

    def close_early(self) -> None:
        """Who asked for it closed the stream before its end. No error."""
        self._finish("closed_early", self._end_of_unfinished(self.now()))

    def abandon(self) -> None:
        """Nobody holds the stream any more. No error; it ends with what arrived last, or where it began."""
        self._finish("abandoned", self._end_of_unfinished(self.sent_ns))

    def _end_of_unfinished(self, otherwise: int) -> int:
        """An unfinished stream ends at its last chunk: when it was *noticed* to be unfinished is an accident."""
        last = self.last_ns
        return otherwise if last is None else last

    def _columns(self) -> tuple[Chunks, "array[int]"]:
        """Return the chunks, their tokens still as marked, and the length of the text of each."""
        if self._read:
            lag = self._lag if any(self._lag) else array("q")
            return Chunks(self._at, self._read, self._kind, self._size, self._tokens, lag), self._length
        # copies, cut to the shortest: a thread that still generates may mark on, and a record does not change
        count = min(len(self._at), len(self._kind), len(self._tokens))
        # marked by hand: a read of its own for every chunk
        read = _NUMBERS[:count] if count <= len(_NUMBERS) else array("I", range(1, count + 1))
        size = array("I", bytes(4 * count))
        return Chunks(self._at[:count], read, self._kind[:count], size, self._tokens[:count], array("q")), size

    def _finish(self, outcome: Outcome, ended_ns: int, error: str | None = None, message: str | None = None) -> None:
        try:
            self._once.pop()  # atomic: of two threads that race here (a close, a collected reference) one goes on
        except IndexError:
            return
        head, chunks = self.head, _NO_CHUNKS
        output: int | None = None
        source: TokenSource | None = None
        flags: tuple[str, ...] = ()
        if self._at or self._provider is not None or self._counted is not None:
            chunks, lengths = self._columns()
            tokens, output, source, flags = token_counts.resolve(
                chunks.kind, chunks.tokens, lengths, provider=self._provider, hidden=self._hidden, counted=self._counted
            )
            chunks = msgspec.structs.replace(chunks, tokens=tokens)
        if flags:
            head["flags"] = (*head.get("flags", ()), *flags)
        if error is not None:
            head["error_type"], head["error_message"] = error, message
        head.setdefault("output_tokens", output)
        self.record = record = StreamRecord(
            **head,
            sent_ns=self.sent_ns,
            ended_ns=ended_ns,
            chunks=chunks,
            outcome=outcome,
            token_source=source,
        )
        if self._on_finish is not None:
            self._on_finish(record)


def _usable_kind(kind: object, tokens: object) -> int:
    """Return the kind of a chunk that was marked wrongly; say once what was wrong with it."""
    known = isinstance(kind, str | int) and kind in _KIND_OF
    expected, got = ("the number of a chunk's tokens", tokens) if known else (f"one of {', '.join(KIND_NAMES)}", kind)
    if expected not in _told:
        _told.add(expected)
        _log.warning(
            "mark() expected %s, got %r; the chunk counts as text whose tokens are not known, and this is said once",
            *(expected, got),
        )
    return _KIND_OF[kind] if isinstance(kind, str | int) and known else TEXT


def error_type(error: BaseException) -> str:
    """Return the convention's `error.type` of an exception: its qualified name, without `builtins`."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
