"""One request and its answer: turns the bytes that arrive into notes.

The only place that knows a connection, HTTP, a framer and a protocol plugin. Each of them knows only its own step. In
the middle of a stream several packets are handed in together, and each step is taken for all of them at once.
"""

from collections.abc import Callable, Sequence
from itertools import compress, groupby
from struct import pack
from typing import Final

from otel_llm.clock import now_ns
from otel_llm.errors import RemoteError
from otel_llm.load.worker.judging import failure_of, find_failure
from otel_llm.load.worker.raw import Raw
from otel_llm.record import BRINGING_KINDS, OTHER, PADDING, Outcome
from otel_llm.wire.arrivals import Arrivals
from otel_llm.wire.framing import Framer, framer_of
from otel_llm.wire.http import Answer
from otel_llm.wire.ndjson import Ndjson, Whole
from otel_llm.wire.protocol import Protocol
from otel_llm.wire.repeats import Content, Repeats
from otel_llm.wire.said import WORDS, without_surrogates
from otel_llm.wire.sse import Sse
from otel_llm.wire.timing_headers import times_of_headers

__all__ = ["CLOSED_IDLE", "Exchange"]

CLOSED_IDLE: Final = "closed_idle"
"""The error of a request on a kept connection that its server closed as it came: before a token of the answer."""

_LONG = 20
_PARTS = (slice(4), slice(4, -4), slice(-4, None))

_Delta = tuple[int, int, int]
"""What one event brought: (kind of chunk, characters of text, tokens or 0)."""


class Exchange:
    """The peer of a connection during one request. `on_done` is called once, when the answer has ended.

    raw:           the notes; its `outcome` is set when the answer has ended
    stream:        whether a stream was asked for, so that an answer of no known type is one
    finish_reason: whether an answer without a finish reason was cut short, where its protocol has one
    kept:          whether its connection was not opened for this request
    """

    __slots__ = (
        "_answer", "_content", "_ended", "_finish_reason", "_framer", "_kept", "_later_tail", "_on_done", "_opening",
        "_plugin", "_repeats", "_silent", "_stream", "mid_stream_tail", "raw", "reusable",
    )  # fmt: skip

    def __init__(
        self, raw: Raw, plugin: Protocol, on_done: Callable[[], object], *, stream: bool = True,
        finish_reason: bool = True,
        kept: bool = False,
    ) -> None:  # fmt: skip
        self.raw, self._plugin, self._on_done, self._stream, self._kept = raw, plugin, on_done, stream, kept
        self._finish_reason = finish_reason
        self._content = raw.content or Content()
        self._answer, self._repeats = Answer(), Repeats(plugin.__class__, self._content.around)
        self._framer: Framer | None = None
        self._ended = 0  # number of the read with the end marker or an error
        self.mid_stream_tail = b""  # until the first token: from then on it is `_later_tail`
        self._later_tail = b""
        self._opening = b""  # how the body begins, until an event came of it
        self._silent = b""  # the latest event without content: where an answer breaks off, it may say why
        self.reusable = False

    # -- what the connection calls -----------------------------------------------------------------------------

    def in_the_middle(self, _read: bytes) -> bool:
        """Return False: by HTTP/1.1 the tail of a read tells, or nothing does."""
        return False

    def received(self, reads: Sequence[bytes], arrivals: Arrivals) -> None:
        """Take what reads brought: a single read, or a batch in which all but the last have the mid-stream tail."""
        if not self.open:
            return
        self.raw.arrivals, last = arrivals, arrivals.count
        if len(reads) > 1 and reads[-1][-4:] != self.mid_stream_tail:  # the end of a stream is unlike its middle
            self._receive(reads[:-1], range(last - len(reads) + 1, last))
            reads = reads[-1:]
        if self.open:
            self._receive(reads, range(last - len(reads) + 1, last + 1))

    def lost(self, error: Exception | None) -> None:
        """Take the end of the connection: an answer of stated length was cut, any other is complete."""
        if not self.open:
            return
        if self._ended or (error is None and self._answer.end_of_stream()):
            self._complete(now_ns(), reusable=False)
        else:
            begun = isinstance(self._framer, Whole) or not BRINGING_KINDS.isdisjoint(b"".join(self.raw.kind))
            where = "in the middle" if self.raw.arrivals.count else "before a byte of the answer came"
            kind = CLOSED_IDLE if self._kept and not begun else "disconnect"
            self.fail(kind, str(error) if error else f"the connection was closed {where}")

    # -- what the worker calls ---------------------------------------------------------------------------------

    def echo(self, header: bytes) -> None:
        """Note what this header of the answer says, its name in lower case."""
        self._answer.echo = header

    @property
    def open(self) -> bool:
        """Whether the answer has not ended."""
        return self.raw.outcome is None

    @property
    def over(self) -> bool:
        """Whether the protocol's end marker or an error has come, even if the HTTP body goes on."""
        return self._ended > 0

    def fail(self, kind: str, message: str, at_ns: int | None = None) -> None:
        """End it as failed. What was noted so far stays."""
        if self.open:
            self.raw.error_type, self.raw.error_message = kind, without_surrogates(message[: 2 * WORDS])
            self._end("error", now_ns() if at_ns is None else at_ns)

    def cancel(self) -> None:
        """End it because the run was interrupted."""
        if self.open:
            self._end("cancelled", now_ns())

    def leave(self) -> None:
        """End it because its user does not wait for the rest."""
        if self.open:
            self._end("closed_early", now_ns())

    def finish(self) -> None:
        """End it at its end marker, without waiting for the rest of the HTTP body."""
        if self._ended and self.open:
            self._complete(now_ns(), reusable=False)

    # -- step by step ------------------------------------------------------------------------------------------

    def _receive(self, reads: Sequence[bytes], numbers: Sequence[int]) -> None:
        """Turn reads into bodies: HTTP."""
        answer = self._answer
        bodies = answer.feed_each(reads)
        try:
            self._frame(bodies, numbers)
        except RemoteError as error:  # a body that cannot be taken apart; of a refusal, the refusal is what counts
            refused = answer.status and not 200 <= answer.status < 300
            self.fail(str(answer.status) if refused else error.kind, str(error), self.raw.arrivals.at(numbers[0]))
        if self.open:
            if answer.error is not None:
                self.fail(*failure_of(answer.error, b""), self.raw.arrivals.at(numbers[len(bodies)]))
            elif answer.complete:
                self._complete(self.raw.arrivals.at(numbers[-1]))

    def _frame(self, bodies: Sequence[bytes], numbers: Sequence[int]) -> None:
        """Turn bodies into events, each with the number of its read: framing."""
        framer = self._framer or self._choose_framer(b"".join(bodies), numbers[0])
        if framer is None:
            return
        found = framer.singles(bodies) if len(bodies) > 1 and isinstance(framer, Sse) else None
        if found is not None:
            self._decode(found, numbers[: len(found)])  # a read that is no HTTP has no body
            return
        events: list[bytes] = []
        read: list[int] = []
        for body, number in zip(bodies, numbers, strict=False):
            found = framer.feed(body)
            events += found
            read += [number] * len(found)
        if len(events) <= _LONG:
            if events:
                self._decode(events, read)
            elif not self.raw.kind and len(self._opening) < WORDS:
                self._opening += b"".join(bodies)[:WORDS]
            return
        for part in _PARTS:  # the ends of an answer are unlike its middle: each is looked at by itself
            if self.open:
                self._decode(events[part], read[part])

    def _decode(self, events: Sequence[bytes], read: Sequence[int]) -> None:
        """Turn events into chunks: the protocol."""
        while events and self.open:
            taken = self._take(events, read)
            events, read = events[taken:], read[taken:]

    def _take(self, events: Sequence[bytes], read: Sequence[int]) -> int:
        """Take events, until something is learnt that those after it may repeat; return how many."""
        start, learnt = 0, len(self._content.around)
        for known, run in groupby(self._repeats.texts(events), bool):
            texts = list(run)
            part = slice(start, start := start + len(texts))
            if known:
                self._content.add_texts(texts)
                self._note(events[part], read[part], _lengths(texts), bytes((self._repeats.kind,)) * len(texts))
            else:
                self._parse(events[part], read[part])
                if not self.open or len(self._content.around) > learnt:
                    break
        return start

    def _parse(self, events: Sequence[bytes], read: Sequence[int]) -> None:
        """Turn events into chunks by having each decoded."""
        deltas: list[_Delta | None] = []
        error: Exception | None = None
        try:
            for event, number in zip(events, read, strict=True):
                deltas.append(self._ask(event, number))
        except Exception as broken:  # a server's nonsense, or a plugin's bug: it must not take the run with it
            error = broken.with_traceback(None)  # it would refer to this frame, as would those that led to it
            error.__context__ = error.__cause__ = None
            at_fault, event = read[len(deltas)], events[len(deltas)]
        if self._plugin.keeps:
            self._content.add(events[: len(deltas)])
        events, read = list(compress(events, deltas)), list(compress(read, deltas))  # an end marker is no chunk
        if events:
            kinds, lengths, tokens = zip(*filter(None, deltas), strict=True)
            self._note(events, read, lengths, bytes(kinds), tokens)
        if error is not None:
            self.fail(*failure_of(error, event), self.raw.arrivals.at(at_fault))

    def _ask(self, event: bytes, read: int) -> _Delta | None:
        """Have the plugin decode one event, and learn from it."""
        plugin = self._plugin
        behind = plugin.done
        delta = plugin.decode(event)
        if not self._ended and (plugin.done or plugin.said.error is not None):
            self._ended = read
        if delta is None or behind:  # what comes behind the end marker may say something, and is no part of the answer
            return None
        self._repeats.learn(event, delta)
        kind, text, tokens = delta
        if kind in BRINGING_KINDS:
            self.mid_stream_tail = self._later_tail
        elif kind in (PADDING, OTHER):
            self._silent = event
        else:
            raise TypeError(f"expected a kind of chunk, got {kind!r}")
        if type(tokens) is not int or not 0 <= tokens <= len(event):  # a bill, or nonsense: none has more than bytes
            tokens = 0
        return kind, len(text), tokens

    def _note(
        self,
        events: Sequence[bytes],
        read: Sequence[int],
        lengths: Sequence[int],
        kinds: bytes,
        tokens: Sequence[int] | None = None,
    ) -> None:
        """Note chunks. `tokens` is None when no event states how many tokens it brought."""
        raw, numbers = self.raw, f"{len(events)}I"
        raw.read.append(pack(numbers, *read))
        raw.size.append(pack(numbers, *map(len, events)))
        raw.length.append(pack(numbers, *lengths))
        raw.tokens.append(bytes(4 * len(events)) if tokens is None else pack(numbers, *tokens))
        raw.kind.append(kinds)

    def _choose_framer(self, beginning: bytes, read: int) -> Framer | None:
        """Choose the framer, and with it the tail of reads in the middle; None until the body has begun."""
        answer = self._answer
        if answer.status:
            self.raw.head = self.raw.head or read
        if not answer.status or not beginning:
            return None
        self._framer = framer = framer_of(answer, beginning, self._plugin.framing, stream=self._stream)
        if answer.chunked and isinstance(framer, Sse | Ndjson):
            self._later_tail = b"\n\n\r\n" if isinstance(framer, Sse) else b"}\n\r\n"
        return framer

    # -- the end -----------------------------------------------------------------------------------------------

    def _complete(self, at_ns: int, *, reusable: bool = True) -> None:
        answer = self._answer
        rest = self._framer.end() if self._framer is not None else ()
        self.reusable = reusable and answer.keep_alive
        if not 200 <= answer.status < 300:
            text = b"".join(rest)[:WORDS].decode("utf-8", "replace")
            where = answer.location.partition("?")[0]  # what follows may be a secret
            moved = f"redirects to {where}, which is not followed: give it as --url" if where else ""
            return self.fail(str(answer.status), moved or text, at_ns)
        if rest:
            self._decode(rest, (self.raw.arrivals.count,) * len(rest))
            if not self.open:
                return None
        return self._judge(at_ns)

    def _judge(self, at_ns: int) -> None:
        """End it as what it turned out to be, now that all of it is there."""
        plugin = self._plugin
        plugin.said.settle()
        kinds = b"".join(self.raw.kind)
        failure = find_failure(plugin, kinds, self._silent, self._opening, finish_reason=self._finish_reason)
        if failure is not None:
            return self.fail(*failure, at_ns)
        if self._stream and isinstance(self._framer, Whole):
            plugin.said.flag("whole_answer")
        return self._end("complete", self.raw.arrivals.at(self._ended) if self._ended else at_ns)

    def _end(self, outcome: Outcome, at_ns: int) -> None:
        raw = self.raw
        raw.outcome, raw.ended_ns = outcome, at_ns
        raw.status, raw.said = self._answer.status or None, self._plugin.said
        raw.echoed = self._answer.echoed
        if self._answer.timings:
            raw.said.add_times(times_of_headers(self._answer.timings))
        raw.said.settle()
        self._answer.close()
        self._on_done()


def _lengths(texts: Sequence[bytes]) -> list[int]:
    """Return the characters of each text."""
    return list(map(len, texts if b"".join(texts).isascii() else map(bytes.decode, texts)))
