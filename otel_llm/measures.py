"""The numbers: pure functions of a record, each defined here and nowhere else.

Let t1 and tL be the arrivals of the first and the last token-bearing chunk, k1 the tokens of the first one, and n the
tokens streamed. What a measure needs and a record does not have makes it None, never 0. All results are seconds.
"""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from otel_llm.first_token_split import FirstTokenSplit, split_first_token
from otel_llm.record import (
    AUDIO,
    CONTENT_KINDS,
    IMAGE,
    NOT_STREAMED,
    OTHER,
    PADDING,
    Chunks,
    StreamRecord,
)

__all__ = [
    "MEASURES",
    "SERVER_MEASURES",
    "ChunkTable",
    "Facts",
    "Measure",
    "TokenGaps",
    "bears_tokens",
    "connect_time",
    "corrected_request_latency",
    "corrected_time_to_first_token",
    "each_token_latencies",
    "gaps_in",
    "inter_chunk_latencies",
    "inter_token_latencies",
    "joined",
    "max_inter_token_latency",
    "output_throughput",
    "percentile",
    "queue_delay",
    "real_time_factor",
    "request_latency",
    "send_lag",
    "server_time_per_output_token",
    "time_per_output_token",
    "time_to_first_audio",
    "time_to_first_chunk",
    "time_to_first_image",
    "time_to_first_token",
    "time_to_stop",
    "token_gaps",
]

Ints = NDArray[Any]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
_BEARS: Final = bytes(kind in CONTENT_KINDS for kind in range(256))
_NOTHING: Final[Floats] = np.empty(0)
_NO_CHUNKS: Final = Chunks()


def _seconds(ns: int | None) -> float | None:
    return None if ns is None else ns / 1e9


def _first_token_ns(record: StreamRecord) -> int | None:
    if record.stream:
        for at, kind in zip(record.chunks.at_ns, record.chunks.kind, strict=True):
            if kind in CONTENT_KINDS:
                return at
    return None


class ChunkTable(NamedTuple):
    """The chunks of several answers, one after the other: the columns of `Chunks`, and whose each chunk is.

    lag_ns: empty where nothing can tell; owner: the number of the answer, from 0
    """

    at_ns: Ints
    read: Ints
    kind: Ints
    tokens: Ints
    lag_ns: Ints
    owner: Ints

    @classmethod
    def of(cls, answers: Sequence[Chunks]) -> "ChunkTable":
        """Return the chunks of answers."""
        return cls(
            joined([each.at_ns for each in answers], np.int64),
            joined([each.read for each in answers], np.uint32),
            joined([each.kind for each in answers], np.uint8),
            joined([each.tokens for each in answers], np.uint32),
            joined([each.lag_ns for each in answers], np.int64),
            np.repeat(np.arange(len(answers)), [len(each.at_ns) for each in answers]),
        )


def bears_tokens(table: ChunkTable) -> Bools:
    """Return which chunks bring something of the answer: neither a role, nor the end, nor counts of tokens."""
    # a token may come without text
    found: Bools = ((table.kind > PADDING) & (table.kind < OTHER)) | (table.tokens > 0)
    return found


def _token_reads(table: ChunkTable, wanted: Bools | None) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Return the token-bearing reads of all answers, one after the other.

    Arrays: arrival, tokens, number of the answer; per answer that has any, the tokens of its first chunk; read number.
    """
    bearing = bears_tokens(table)
    if wanted is not None:
        bearing &= wanted[table.owner]
    tokens = table.tokens[bearing].astype(np.int64)
    at, read, owner = table.at_ns[bearing], table.read[bearing], table.owner[bearing]
    if not len(at):
        return at, tokens, owner, tokens, read
    other = owner[1:] != owner[:-1]
    starts = np.flatnonzero(np.concatenate(([True], other | (read[1:] != read[:-1]))))
    first = tokens[np.concatenate(([True], other))]
    return at[starts], np.add.reduceat(tokens, starts), owner[starts], first, read[starts]


def joined(columns: "Sequence[array[int]]", dtype: type) -> Ints:
    """Return columns one after the other, as one array of `dtype`; none of no columns."""
    return np.frombuffer(bytearray().join(columns), dtype)


def time_to_first_chunk(record: StreamRecord) -> float | None:
    """Return first chunk - sent, whatever the chunk holds. None when nothing was streamed.

    Source: GenAI semantic conventions v1.41, `gen_ai.client.operation.time_to_first_chunk`.
    """
    if not record.stream or NOT_STREAMED in record.flags or not record.chunks.at_ns:
        return None
    return (record.chunks.at_ns[0] - record.sent_ns) / 1e9


def time_to_first_token(record: StreamRecord) -> float | None:
    """Return t1 - sent. None when the call was not streamed or no chunk bore text, reasoning or tool content."""
    first = _first_token_ns(record)
    return None if first is None else (first - record.sent_ns) / 1e9


def time_to_first_audio(record: StreamRecord) -> float | None:
    """Return first chunk of sound - sent. None when the call was not streamed or no chunk bore sound."""
    return _time_to_first(AUDIO, record)


def time_to_first_image(record: StreamRecord) -> float | None:
    """Return first image - sent, be it half done. None when the call was not streamed or no chunk bore an image."""
    return _time_to_first(IMAGE, record)


def _time_to_first(kind: int, record: StreamRecord) -> float | None:
    first = record.chunks.kind.tobytes().find(kind) if record.stream else -1
    return None if first < 0 else (record.chunks.at_ns[first] - record.sent_ns) / 1e9


def time_to_stop(record: StreamRecord) -> float | None:
    """Return ended - when the server was asked to stop. None when it was not, or its answer came to no end of its own.

    Where it did not obey, that is when the whole answer was there.
    """
    if record.stop_ns is None or not record.finish_reasons or record.outcome not in ("complete", "closed_early"):
        return None
    return max(record.ended_ns - record.stop_ns, 0) / 1e9


def real_time_factor(record: StreamRecord) -> float | None:
    """Return request latency / seconds of sound made or transcribed: below 1 it is faster than it is heard."""
    return request_latency(record) / record.audio_s if record.audio_s else None


def inter_token_latencies(*records: StreamRecord) -> Floats:
    """Return a latency for every token after the first chunk, float64[sum of n - k1]; per record they sum to tL - t1.

    A read that brings k tokens a gap g after the one before it gives k values of g / k; tokens that share the first
    token's read give 0. So tokens that the server batched, or the network merged, do not fake a stall and a burst.
    """
    gap_s, tokens, _, _ = token_gaps(*records)
    return np.repeat(gap_s / np.maximum(tokens, 1), tokens)


class TokenGaps(NamedTuple):
    """A row per read that brought tokens, of all records one after the other.

    gap_s:  seconds since the read before, 0 for a record's first
    tokens: how many came after that gap; of a record's first read, those that are not of its first chunk
    read:   its number; owner: the number of its record, from 0
    """

    gap_s: Floats
    tokens: Ints
    read: Ints
    owner: Ints


def token_gaps(*records: StreamRecord) -> TokenGaps:
    """Return what `inter_token_latencies` and `max_inter_token_latency` are computed from, of any number of records."""
    return gaps_in(ChunkTable.of([each.chunks if each.stream else _NO_CHUNKS for each in records]))


def gaps_in(table: ChunkTable, wanted: Bools | None = None) -> TokenGaps:
    """Return the token gaps of answers that were streamed. wanted: of which of the answers; None: of all"""
    at, tokens, owner, first, read = _token_reads(table, wanted)
    if not len(at):
        return TokenGaps(_NOTHING, tokens, read, owner)
    opens = np.concatenate(([True], owner[1:] != owner[:-1]))
    tokens[opens] -= first
    # the gap before a read to which no token could be apportioned belongs to the next one that has some
    kept = opens | (tokens > 0)
    at, tokens, opens = at[kept], tokens[kept], opens[kept]
    gaps = np.diff(at, prepend=at[:1])
    gaps[opens] = 0
    return TokenGaps(gaps / 1e9, tokens, read[kept], owner[kept])


def each_token_latencies(records: Sequence[StreamRecord]) -> list[tuple[Floats, float | None]]:
    """Return (inter-token latencies, the longest wait) of each record, all computed at once."""
    if not any(r.stream and r.chunks.at_ns for r in records):
        return [(_NOTHING, None)] * len(records)
    gap_s, tokens, _, owner = token_gaps(*records)
    values = np.repeat(gap_s / np.maximum(tokens, 1), tokens)
    ends = np.searchsorted(owner, np.arange(len(records) + 1))
    longest = np.maximum.reduceat(np.append(gap_s, 0.0), ends[:-1]).tolist()  # a record's first gap is 0
    cuts = np.concatenate(([0], np.cumsum(tokens)))[ends].tolist()
    return [
        (values[start:stop], most if reads > 1 else None)
        for start, stop, most, reads in zip(cuts, cuts[1:], longest, np.diff(ends).tolist(), strict=False)
    ]


def inter_chunk_latencies(*records: StreamRecord) -> Floats:
    """Return the raw gap before every chunk after a record's first, 0 for chunks of one read."""
    return np.concatenate((_NOTHING, *each_chunk_latencies(records)))


def each_chunk_latencies(records: Sequence[StreamRecord]) -> list[Floats]:
    """Return the inter-chunk latencies of each record, all computed at once."""
    columns = [r.chunks.at_ns if r.stream and NOT_STREAMED not in r.flags else _NO_CHUNKS.at_ns for r in records]
    if not any(columns):
        return [_NOTHING] * len(records)
    gaps = np.diff(joined(columns, np.int64)) / 1e9
    found, start = [], 0
    for column in columns:
        found.append(gaps[start : start + max(len(column) - 1, 0)])
        start += len(column)
    return found


def max_inter_token_latency(record: StreamRecord) -> float | None:
    """Return the longest wait between two reads that brought tokens, undivided: the worst stall. None with fewer."""
    gap_s = token_gaps(record).gap_s
    return float(gap_s.max()) if len(gap_s) > 1 else None


def time_per_output_token(record: StreamRecord) -> float | None:
    """Return (tL - t1) / (n - k1), the mean pace after the first chunk. None when n <= k1."""
    if not record.stream:
        return None
    chunks = record.chunks
    bears = chunks.kind.tobytes().translate(_BEARS)
    first, last = bears.find(1), bears.rfind(1)
    rest = sum(chunks.tokens) - chunks.tokens[first] if first >= 0 else 0
    if rest <= 0:
        return None
    later = [last + number for number, tokens in enumerate(chunks.tokens[last + 1 :], 1) if tokens]
    last = later[-1] if later else last  # the last token may come without text
    return (chunks.at_ns[last] - chunks.at_ns[first]) / 1e9 / rest


def server_time_per_output_token(record: StreamRecord) -> float | None:
    """Return (duration - TTFT) / (output tokens - 1), of a model in this process. None when either is not defined.

    Source: GenAI semantic conventions v1.41, `gen_ai.server.time_per_output_token`; ours is `time_per_output_token`.
    """
    first, tokens = _first_token_ns(record), record.output_tokens
    return None if first is None or tokens is None or tokens < 2 else (record.ended_ns - first) / 1e9 / (tokens - 1)


def request_latency(record: StreamRecord) -> float:
    """Return ended - sent."""
    return (record.ended_ns - record.sent_ns) / 1e9


def output_throughput(record: StreamRecord) -> float | None:
    """Return output tokens per second of the whole call, {token}/s. None when either is unknown or no time passed."""
    took = record.ended_ns - record.sent_ns
    return None if record.output_tokens is None or took <= 0 else record.output_tokens / (took / 1e9)


def queue_delay(record: StreamRecord) -> float | None:
    """Return sent - intended: how long a request of an open loop waited in the client. None in a closed loop."""
    return None if record.intended_ns is None else (record.sent_ns - record.intended_ns) / 1e9


def send_lag(record: StreamRecord) -> float | None:
    """Return sent - due: how late the client itself was, connecting apart. None when nothing was due."""
    if record.due_ns is None:
        return None
    return (record.sent_ns - record.due_ns - (record.connect_ns or 0)) / 1e9


def connect_time(record: StreamRecord) -> float | None:
    """Return the time of DNS, TCP and TLS. None for a request on a connection that was open already."""
    return _seconds(record.connect_ns)


def corrected_time_to_first_token(record: StreamRecord) -> float | None:
    """Return t1 - intended: what a user who came at the planned moment waited. None in a closed loop.

    Source: Gil Tene, wrk2, on coordinated omission.
    """
    first = None if record.intended_ns is None else _first_token_ns(record)
    return None if first is None or record.intended_ns is None else (first - record.intended_ns) / 1e9


def corrected_request_latency(record: StreamRecord) -> float | None:
    """Return ended - intended. None in a closed loop."""
    return None if record.intended_ns is None else (record.ended_ns - record.intended_ns) / 1e9


def percentile(ordered: Sequence[float] | NDArray[Any], q: float, count: int | None = None) -> float | None:
    """Return the q-th percentile (0..100) of ascending values, by numpy's linear rule. None of no values.

    count: how many values there are, where those beyond the end of `ordered` are infinite; None for a percentile that
    takes one of these

    >>> percentile([1.0, 2.0, 3.0, 4.0], 50)
    2.5
    >>> percentile([1.0, 2.0, 3.0], 50, count=4), percentile([1.0, 2.0, 3.0], 90, count=4)
    (2.5, None)
    """
    if count is None:
        count = len(ordered)
    position = (count - 1) * q / 100
    low = int(position)
    high = min(low + 1, count - 1) if position > low else low
    if not count or high >= len(ordered):
        return None
    return float(ordered[low] + (ordered[high] - ordered[low]) * (position - low))


def _split(record: StreamRecord, first_token_s: float | None) -> FirstTokenSplit | None:
    """Return where the first token's time went; None without one, or where the server says nothing of its time."""
    if record.server is None or first_token_s is None:
        return None
    head_ns = None if record.headers_ns is None else record.headers_ns - record.sent_ns
    return split_first_token(
        record.server, first_token_s, request_latency(record) if record.ok else None, _seconds(head_ns)
    )


# -- a record, measured once -----------------------------------------------------------------------------------------


class Facts:
    """A record, with the measures that several who look at it want, computed once. Seconds; None and empty as above."""

    __slots__ = (
        "first_token_split",
        "inter_chunk_latencies",
        "inter_token_latencies",
        "max_inter_token_latency",
        "record",
        "time_per_output_token",
        "time_to_first_chunk",
        "time_to_first_token",
    )

    @classmethod
    def of(cls, *records: StreamRecord) -> "list[Facts]":
        """Return the facts of each record; what takes long is computed for all of them at once."""
        if len(records) == 1 and not records[0].chunks.at_ns:
            return [cls(records[0], (_NOTHING, None), _NOTHING)]
        tokens, chunks = each_token_latencies(records), each_chunk_latencies(records)
        return [cls(*each) for each in zip(records, tokens, chunks, strict=True)]

    def __init__(self, record: StreamRecord, latencies: tuple[Floats, float | None], chunks: Floats) -> None:
        self.record = record
        self.inter_chunk_latencies = chunks
        self.inter_token_latencies, self.max_inter_token_latency = latencies
        self.time_per_output_token = time_per_output_token(record)
        self.time_to_first_chunk = time_to_first_chunk(record)
        self.time_to_first_token = time_to_first_token(record)
        self.first_token_split = _split(record, self.time_to_first_token)


# -- the table -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measure:
    """A row of every report: its name, what it is, and how to have its values of any number of records.

    `successes_only` measures leave out failed requests, whose partial timings would make a server look better.
    """

    name: str
    unit: str
    formula: str
    undefined: str
    values: Callable[[Sequence[Facts]], Floats]
    successes_only: bool = True


def _each(function: Callable[[Facts], float | None]) -> Callable[[Sequence[Facts]], Floats]:
    def values(facts: Sequence[Facts]) -> Floats:
        return np.array([value for fact in facts if (value := function(fact)) is not None], np.float64)

    return values


def _of_record(function: Callable[[StreamRecord], float | None]) -> Callable[[Sequence[Facts]], Floats]:
    return _each(lambda fact: function(fact.record))


def _of_server(name: str) -> Callable[[Sequence[Facts]], Floats]:
    return _each(lambda fact: None if fact.record.server is None else getattr(fact.record.server, name))


def _of_split(name: str) -> Callable[[Sequence[Facts]], Floats]:
    return _each(lambda fact: None if fact.first_token_split is None else getattr(fact.first_token_split, name))


def _all(name: str) -> Callable[[Sequence[Facts]], Floats]:
    return lambda facts: np.concatenate((_NOTHING, *(getattr(fact, name) for fact in facts)))


MEASURES: Final = (
    Measure(
        "time_to_first_chunk",
        "s",
        "first chunk - sent, whatever the chunk holds",
        "nothing was streamed",
        _each(lambda fact: fact.time_to_first_chunk),
    ),
    Measure(
        "time_to_first_token",
        "s",
        "first chunk with text, reasoning or tool content - sent",
        "nothing was streamed, or no chunk bore content",
        _each(lambda fact: fact.time_to_first_token),
    ),
    Measure(
        "inter_token_latency",
        "s",
        "gap between token-bearing reads / tokens the later one brought, once for each of them",
        "no token came after the first chunk",
        _all("inter_token_latencies"),
    ),
    Measure(
        "inter_chunk_latency",
        "s",
        "gap between chunks as they arrived, 0 for chunks of one read",
        "fewer than two chunks",
        _all("inter_chunk_latencies"),
    ),
    Measure(
        "time_per_output_token",
        "s",
        "(last token chunk - first token chunk) / (tokens - tokens of the first chunk), per request",
        "no token came after the first chunk",
        _each(lambda fact: fact.time_per_output_token),
    ),
    Measure("request_latency", "s", "end of the answer - sent", "the request failed", _of_record(request_latency)),
    Measure(
        "queue_delay", "s", "sent - intended, open loop", "closed loop", _of_record(queue_delay), successes_only=False
    ),
    Measure(
        "connect_time",
        "s",
        "DNS + TCP + TLS of a request that opened its connection",
        "the connection was open already",
        _of_record(connect_time),
        successes_only=False,
    ),
    Measure(
        "output_tokens",
        "{token}",
        "tokens of the answer",
        "their number is not known",
        _of_record(lambda record: record.output_tokens),
    ),
    Measure(
        "input_tokens",
        "{token}",
        "tokens of the prompt",
        "their number is not known",
        _of_record(lambda record: record.input_tokens),
    ),
    Measure(
        "time_to_first_audio",
        "s",
        "first chunk with sound - sent",
        "nothing was streamed, or no chunk bore sound",
        _of_record(time_to_first_audio),
    ),
    Measure(
        "time_to_first_image",
        "s",
        "first image - sent, be it half done",
        "nothing was streamed, or no chunk bore an image",
        _of_record(time_to_first_image),
    ),
    Measure(
        "audio_duration",
        "s",
        "length of the sound that was made, or that was transcribed",
        "there was no sound, or its length is not known",
        _of_record(lambda record: record.audio_s),
    ),
    Measure(
        "real_time_factor",
        "1",
        "request latency / audio_duration: below 1, faster than it is heard",
        "there was no sound, or its length is not known",
        _of_record(real_time_factor),
    ),
    Measure(
        "time_to_stop",
        "s",
        "end of the answer - when the server was asked to stop it",
        "it was not asked, or the answer came to no end of its own",
        _of_record(time_to_stop),
        successes_only=False,
    ),
    Measure(
        "chunks",
        "{chunk}",
        "events of the answer, [DONE] and comments apart",
        "the request failed",
        _of_record(lambda record: len(record.chunks)),
    ),
    Measure(
        "corrected_time_to_first_token",
        "s",
        "first token - intended; requests that failed or were never sent count as infinite",
        "closed loop",
        _of_record(corrected_time_to_first_token),
    ),
    Measure(
        "corrected_request_latency",
        "s",
        "end of the answer - intended; requests that failed or were never sent count as infinite",
        "closed loop",
        _of_record(corrected_request_latency),
    ),
    Measure(
        "server_queue",
        "s",
        "from taking the request in until it first ran, as the server says",
        "the server does not say it",
        _of_server("queue"),
    ),
    Measure(
        "server_prefill",
        "s",
        "from when the request first ran until its first token was made, as the server says",
        "the server does not say it",
        _of_server("prefill"),
    ),
    Measure(
        "server_first_token",
        "s",
        "from taking the request in until its first token was made, as the server says",
        "the server does not say it",
        _of_server("first_token"),
    ),
    Measure(
        "server_decode",
        "s",
        "from the first token until the last was made, as the server says",
        "the server does not say it",
        _of_server("decode"),
    ),
    Measure(
        "server_latency",
        "s",
        "from taking the request in until all was made, as the server says",
        "the server does not say it",
        _of_server("total"),
    ),
    Measure(
        "outside_server",
        "s",
        "time to first token less the server's own; else request latency less the server's; else the time to the head "
        "less what a proxy waited for it",
        "the server says none of these",
        _of_split("outside"),
    ),
    Measure(
        "first_token_unexplained",
        "s",
        "time to first token less what the server says it was made of, and less outside_server; may be negative",
        "nothing was streamed, or the server says nothing of its time",
        _of_split("unexplained"),
    ),
)

SERVER_MEASURES: Final = (
    *("server_queue", "server_prefill", "server_first_token", "server_decode", "server_latency"),
    *("outside_server", "first_token_unexplained"),
)
"""Those that nobody knows of a request whose server says nothing of its time."""
