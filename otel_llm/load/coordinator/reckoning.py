"""Turns what workers noted into records, many requests at once, with their tokens counted and their oddities flagged.

A record is the one that an observation on the spot would have given. Nothing is observed here: the stamps are those
that the workers took.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from otel_llm import conventions, tokens
from otel_llm.load.figures.counting import Counting
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.worker.raw import Raw
from otel_llm.record import CONTENT_KINDS, MEDIA_KINDS, Chunks, ServerTimes, StreamRecord, TokenSource
from otel_llm.wire.arrivals import NO_STAMP, OLDEST_NS, Arrivals
from otel_llm.wire.protocol import Protocol
from otel_llm.wire.repeats import Content
from otel_llm.wire.said import Said

__all__ = ["FinishedCall", "Reckoning", "moments"]

_CODES: Final = {1: "B", 4: "I", 8: "q"}
_NEVER: Final = -(1 << 62)  # an offset by which a stamp is from the future, and refused
_LENGTH: Final = frozenset(("length", "max_tokens", "MAX_TOKENS", "max_output_tokens"))
_LIMITS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens", "max_new_tokens", "num_predict")
_NESTED: Final = ("parameters", "options", "sampling_params")
_CHARACTERS: Final = 16
"""So many tokens are not as many as the characters by accident."""

_BEARS_TOKENS: Final = np.array([kind in CONTENT_KINDS for kind in range(256)], np.uint32)

Ints = NDArray[np.int64]


class FinishedCall(NamedTuple):
    """A request that ended.

    body:    the request body that was sent
    content: the events of its answer; None where they are not kept
    """

    record: StreamRecord
    body: bytes
    content: Content | None


class Reckoning:
    """Makes the records of one plan. counting: counts tokens where the server does not; None leaves them unknown."""

    def __init__(self, plan: LoadPlan, counting: Counting | None = None) -> None:
        self._plan, self._counting = plan, counting
        self._heads: list[dict[str, Any]] = [
            {
                "operation": plan.protocol.operation,
                "provider": plan.protocol.provider,
                "model": plan.model,
                "kind": "client",
                "stream": plan.stream,
                "server_address": target.unix or target.host,
                "server_port": None if target.unix else target.port,
            }
            for target in plan.endpoints
        ]

    def reckon(self, raws: Sequence[Raw]) -> list[FinishedCall]:
        """Return requests that ended, in their order. One that cannot be reckoned is one that failed."""
        try:
            return self._reckon(raws)
        except Exception as error:  # no answer is worth the run
            if len(raws) == 1:
                return self._reckon([_stripped(raws[0], error)])
        return [call for raw in raws for call in self.reckon([raw])]

    def _reckon(self, raws: Sequence[Raw]) -> list[FinishedCall]:
        arrived, waited = moments([raw.arrivals for raw in raws])
        before = list(accumulate((raw.arrivals.count for raw in raws), initial=-1))  # reads are numbered from 1
        counts = [sum(map(len, raw.kind)) for raw in raws]
        read = _joined(raws, "read", np.uint32)
        which = read + np.repeat(np.array(before[:-1], np.int64), counts)
        kind = _joined(raws, "kind", np.uint8)
        columns: dict[str, NDArray[Any]] = {
            "at_ns": arrived[which],
            "read": read,
            "kind": kind,
            "size": _joined(raws, "size", np.uint32),
            "tokens": _joined(raws, "tokens", np.uint32),
            "lag_ns": waited[which],
            "length": _joined(raws, "length", np.uint32),
            "bears": _BEARS_TOKENS[kind],
        }
        arrays = {name: array(_CODES[x.itemsize], x.tobytes()) for name, x in columns.items()}
        found = []
        for raw, first, (start, stop) in zip(raws, before, pairwise(accumulate(counts, initial=0)), strict=False):
            mine = {name: column[start:stop] for name, column in arrays.items()}
            headers_ns = int(arrived[first + raw.head]) if raw.head else None
            length, bears = mine.pop("length"), mine.pop("bears")
            found.append(self._finish(raw, self._record(raw, headers_ns, length, bears, Chunks(**mine))))
        return found

    def _record(
        self, raw: Raw, headers_ns: int | None, length: "array[int]", bears: "array[int]", chunks: Chunks
    ) -> StreamRecord:
        """length, bears: of each chunk, the characters of its text, and 1 for one that bears tokens"""
        said, error, message = raw.said, raw.error_type, raw.error_message
        streamed = self._plan.stream and "whole_answer" not in said.flags
        shares, output, source, flags = _count_tokens(said, length, bears, chunks, streamed=streamed)
        ended_ns = raw.ended_ns
        if raw.outcome == "cancelled":  # ends at its last chunk: when it was *noticed* to be unfinished is an accident
            ended_ns, error = chunks.at_ns[-1] if chunks.at_ns else ended_ns, "interrupted"
        lag_ns = chunks.lag_ns if any(chunks.lag_ns) else array("q")
        session, turn = self._plan.place(raw.index)
        head = self._heads[session % len(self._heads)]
        if self._plan.mixture is not None:
            head = {**head, "model": self._plan.model_of(session)}
            if (name := self._plan.class_of(session)) is not None:
                head["attributes"] = {conventions.REQUEST_CLASS: name}
        if "whole_answer" in said.flags:  # what came in one piece has no first token
            head = {**head, "stream": False}
        return StreamRecord(
            **head,
            index=raw.index,
            conversation_id=self._plan.session_id(session),
            turn=None if self._plan.conversations is None else turn + 1,
            trace_id=raw.trace_id,
            span_id=raw.span_id,
            intended_ns=raw.intended_ns,
            due_ns=raw.due_ns,
            sent_ns=raw.sent_ns,
            connect_ns=raw.connect_ns,
            headers_ns=headers_ns,
            stop_ns=raw.stop_ns,
            ended_ns=ended_ns,
            chunks=msgspec.structs.replace(chunks, tokens=shares, lag_ns=lag_ns),
            outcome=raw.outcome or "cancelled",
            error_type=error or ("error" if raw.outcome == "error" else None),
            error_message=message,
            status=raw.status,
            finish_reasons=said.finish_reasons,
            response_model=said.response_model,
            response_id=said.response_id,
            server=ServerTimes.of(said.server),
            input_tokens=None if "usage_zero" in flags else said.input_tokens,
            output_tokens=output,
            cached_tokens=said.cached_tokens,
            reasoning_tokens=said.reasoning_tokens,
            token_source=source,
            audio_s=said.audio_s,
            flags=("unsent",) * raw.unsent + ("resent",) * raw.resent + said.flags + flags,
        )

    def _finish(self, raw: Raw, record: StreamRecord) -> FinishedCall:
        """Return the request with its tokens counted and its oddities flagged."""
        body = raw.body if raw.body is not None else self._plan.request(self._plan.place(raw.index)[0]).body
        if self._counting is not None and raw.content is not None:
            record = self._counting.recount(record, body, raw.content.events())
        if self._plan.protocol.needs == "audio" and (seconds := self._plan.protocol.sound_asked(body)) is not None:
            record = msgspec.structs.replace(record, audio_s=seconds)  # an answer's own may be rounded up, as a bill is
        if record.outcome == "complete" and (oddities := tuple(_oddities(record, body, self._plan.protocol))):
            record = msgspec.structs.replace(record, flags=(*record.flags, *oddities))
        return FinishedCall(record, body, raw.content)


def _count_tokens(
    said: Said, length: "array[int]", bears: "array[int]", chunks: Chunks, *, streamed: bool
) -> tuple["array[int]", int | None, TokenSource | None, tuple[str, ...]]:
    """Return what `tokens.resolve` does; at once for the usual answer, each chunk of which brought one token.

    An answer in one piece of which nobody says how many tokens it had has no count: its piece is not one token.
    """
    count, total = _bearing(chunks.kind.tobytes()), said.output_tokens
    if total is None and not streamed and not any(chunks.tokens):
        return array("I", bytes(4 * len(chunks.kind))), None, None, ()
    if not said.reasoning_tokens and count and (total == count or (total is None and not any(chunks.tokens))):
        return bears, count, "chunks" if total is None else "provider", ()
    size = int(np.frombuffer(chunks.size, np.uint32).sum())
    return tokens.resolve(chunks.kind, chunks.tokens, length, provider=total, hidden=said.reasoning_tokens, size=size)


def _bearing(kinds: bytes) -> int:
    """Return how many chunks of these kinds bear tokens."""
    return sum(map(kinds.count, CONTENT_KINDS))


def moments(answers: Sequence[Arrivals]) -> tuple[Ints, Ints]:
    """Return when each read of several answers arrived, ns on our clock, and how long it then waited for us, ns.

    The moment is that of the kernel's stamp. Where there is none, or one that cannot be true (later than our own, or
    five seconds before it: the wall clock was stepped), it is our own, and the wait is 0. So it is where the wall clock
    was stepped in the course of an answer, and a read seems to have waited for half of that step, or longer.
    """
    own = np.frombuffer(b"".join(chain.from_iterable(a.own for a in answers)), np.int64)
    parts = chain.from_iterable(a.stamps or (NO_STAMP * a.count,) for a in answers)
    stamps = np.frombuffer(b"".join(parts), np.int64)
    offsets, reads = list[int](), list[int]()
    for answer in answers:
        steps = answer.offsets or [(0, _NEVER)]
        offsets += [offset for _, offset in steps]
        starts = [before for before, _ in steps]
        reads += [stop - start for start, stop in zip(starts, [*starts[1:], answer.count], strict=True)]
    at = stamps[::2] * 1_000_000_000 + stamps[1::2] - np.repeat(np.array(offsets, np.int64), reads)
    lag = own - at
    lag[(lag < 0) | (lag >= OLDEST_NS)] = 0
    first = 0
    for answer in answers:
        mine, first = slice(first, first + answer.count), first + answer.count
        if len(answer.offsets) > 1:
            lag[mine][lag[mine] >= answer.oldest_ns] = 0
    return own - lag, lag


def _stripped(raw: Raw, error: Exception) -> Raw:
    """Return what is left of a request whose notes cannot be reckoned: that it was sent, and ended."""
    left = Raw(raw.index, raw.trace_id, raw.span_id, raw.due_ns, raw.intended_ns, raw.sent_ns, raw.connect_ns)
    left.outcome, left.ended_ns, left.unsent, left.body = "error", raw.ended_ns, raw.unsent, raw.body
    left.error_type, left.error_message = "not_reckoned", f"{type(error).__name__}: {error}"
    return left


def _joined(raws: Sequence[Raw], column: str, dtype: type) -> Ints:
    return np.frombuffer(b"".join(chain.from_iterable(getattr(raw, column) for raw in raws)), dtype)


def _oddities(record: StreamRecord, body: bytes, protocol: type[Protocol]) -> Iterator[str]:
    """Yield what is odd about an answer that arrived whole. See `figures.flags`."""
    output, kinds = record.output_tokens, record.chunks.kind.tobytes()
    bearing, media = _bearing(kinds), any(kind in kinds for kind in MEDIA_KINDS)
    if not output and not bearing:
        if protocol.streams and record.audio_s is None and not media:  # embeddings have no token to miss
            yield "no_tokens"
    elif not bearing and not media:
        yield "no_text"
    elif record.token_source == "provider" and record.stream and output is not None and output < bearing:
        yield "usage_below_chunks"
    counted = 0 if protocol.streams else record.input_tokens or 0
    if counted >= _CHARACTERS and counted == protocol.characters_asked(body):
        yield "usage_as_characters"
    if output is not None and not _LENGTH.isdisjoint(record.finish_reasons):
        limit = _limit(body)
        if limit is not None and output < limit:
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
