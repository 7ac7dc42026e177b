"""What one call did, frozen: the value that everything else is computed from.

A record is made once, by `observe`, and read by `measures` and the sinks. It holds stamps, never durations, never
text: what a model was asked and what it said are kept elsewhere, and only by those who were told to.
"""

import sys
from array import array
from collections.abc import Mapping
from functools import partial
from itertools import accumulate, islice
from struct import Struct
from typing import Any, Final, Literal

import msgspec

__all__ = [
    "AUDIO",
    "BRINGING_KINDS",
    "CACHED",
    "CHUNK_COLUMNS",
    "CONTENT_KINDS",
    "DIFFERENCES",
    "IMAGE",
    "KIND_NAMES",
    "MEDIA_KINDS",
    "NESTED",
    "NOT_STREAMED",
    "OTHER",
    "PACKED",
    "PACKED_HEAD",
    "PADDING",
    "PLAIN_HEAD",
    "REASONING",
    "SCHEMA",
    "SERVER_PARTS",
    "TEXT",
    "TOOL",
    "UNCOUNTED",
    "WIDTH_CODES",
    "Chunks",
    "Outcome",
    "ServerTimes",
    "StreamRecord",
    "TokenSource",
    "from_json",
    "to_json",
]

SCHEMA: Final = 1

# Kinds of chunk, as plain ints because they are stored in a byte and compared per packet. A chunk bears tokens when
# its delta holds text, reasoning or tool content; PADDING is a role or an empty delta, OTHER a usage or error chunk,
# AUDIO a piece of sound, which has a length and no tokens, IMAGE an image, done or half done.
PADDING, TEXT, REASONING, TOOL, OTHER, AUDIO, IMAGE = range(7)
KIND_NAMES: Final = ("padding", "text", "reasoning", "tool", "other", "audio", "image")
CONTENT_KINDS: Final = frozenset((TEXT, REASONING, TOOL))
MEDIA_KINDS: Final = frozenset((AUDIO, IMAGE))
BRINGING_KINDS: Final = CONTENT_KINDS | MEDIA_KINDS
"""Kinds of chunks that bring a piece of the answer."""

NESTED: Final = "nested"
"""Flag of a record that is part of another one, or was made up of others, which are the ones that are counted."""

CACHED: Final = "cached"
"""Flag of a record of an answer that came from a cache of the application: the model was not asked, nothing counts."""

UNCOUNTED: Final = frozenset((NESTED, CACHED))
"""Flags of records that have a span and no part in the histograms."""

NOT_STREAMED: Final = "not_streamed"
"""Flag of a record whose tokens were timed where they were made, while the caller got them all at once."""

Outcome = Literal["complete", "closed_early", "abandoned", "cancelled", "error"]
TokenSource = Literal["provider", "counted", "chunks"]

_MOMENTS: Final = ("intended_ns", "due_ns", "sent_ns", "headers_ns", "stop_ns", "ended_ns")
"""What of a record is a moment, beside the arrivals of its chunks; `connect_ns` is a duration."""

_CODES: Final = {"at_ns": "q", "read": "I", "kind": "B", "size": "I", "tokens": "I", "lag_ns": "q"}
"""The columns of chunks, in the order in which they are stored, with their type codes."""
CHUNK_COLUMNS: Final = tuple((name, code, array(code).itemsize) for name, code in _CODES.items())
"""Name, type code and bytes of a number of each column, in the order in which they are stored."""
DIFFERENCES: Final = frozenset(("at_ns", "read"))
"""Columns whose numbers, where they are stored in fewer bytes, are differences from the one before."""
WIDTH_CODES: Final = {1: "B", 2: "H", 4: "I", 8: "q"}
"""Bytes of a stored number, with the type code of such numbers."""
PACKED: Final = b"\xff" * 4
"""How a blob of packed columns begins: no answer has so many chunks."""
PACKED_HEAD: Final = Struct("<4s2Iq6B2x")
"""`PACKED`, the counts of chunks and lags, the first arrival, and the bytes of a number of each column."""
PLAIN_HEAD: Final = Struct("<2I")
_BIG_ENDIAN: Final = sys.byteorder == "big"


class Chunks(msgspec.Struct, frozen=True):
    """The chunks of one answer as columns of equal length, in order of arrival.

    at_ns:  int64, monotonic arrival of the read (or item) that completed the chunk
    read:   uint32, number of that read; chunks of one read arrived together
    kind:   uint8, PADDING, TEXT, REASONING, TOOL, OTHER, AUDIO or IMAGE
    size:   uint32, bytes of the event
    tokens: uint32, tokens it brought, 0 for a chunk that bears none
    lag_ns: int64, how long that read waited in the kernel before it was taken; empty where nothing can tell
    """

    at_ns: "array[int]" = msgspec.field(default_factory=partial(array, "q"))
    read: "array[int]" = msgspec.field(default_factory=partial(array, "I"))
    kind: "array[int]" = msgspec.field(default_factory=partial(array, "B"))
    size: "array[int]" = msgspec.field(default_factory=partial(array, "I"))
    tokens: "array[int]" = msgspec.field(default_factory=partial(array, "I"))
    lag_ns: "array[int]" = msgspec.field(default_factory=partial(array, "q"))

    def __len__(self) -> int:
        return len(self.at_ns)

    def __repr__(self) -> str:
        return f"<{len(self)} chunks in {self.read[-1] if self.read else 0} reads>"

    def with_tokens(self, tokens: "array[int]") -> "Chunks":
        """Return chunks that differ from these in their tokens alone; the other columns are shared."""
        return msgspec.structs.replace(self, tokens=tokens)

    @classmethod
    def from_bytes(cls, blob: bytes) -> "Chunks":
        """Return the chunks of a blob of the run file. Raises ValueError when it was cut.

        It has a head (`PACKED_HEAD`) and then column by column, little-endian; of `at_ns` and `read`, numbers that are
        narrower than here are differences, the first of `at_ns` from the first arrival. In run files of before, the
        head is the counts of chunks and lags, and all numbers are as here.
        """
        packed = blob.startswith(PACKED)
        head = PACKED_HEAD if packed else PLAIN_HEAD
        if len(blob) < head.size:
            raise ValueError(f"expected {head.size} bytes or more of chunk columns, got {len(blob)}")
        first, widths = 0, [size for _, _, size in CHUNK_COLUMNS]
        if packed:
            _, count, lags, first, *widths = head.unpack_from(blob)
        else:
            count, lags = head.unpack_from(blob)
        start, columns = head.size, []
        for (name, code, size), width in zip(CHUNK_COLUMNS, widths, strict=True):
            stop = start + (lags if name == "lag_ns" else count) * width
            if stop > len(blob) or width not in WIDTH_CODES:
                raise ValueError(f"expected {stop} bytes or more of chunk columns, got {len(blob)}")
            column = array(WIDTH_CODES[width], blob[start:stop])
            if _BIG_ENDIAN:
                column.byteswap()
            if width < size and name in DIFFERENCES:
                column = array(code, islice(accumulate(column, initial=first if name == "at_ns" else 0), 1, None))
            columns.append(array(code, column))
            start = stop
        return cls(*columns)


class ServerTimes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a server says of its own time for one request: durations in seconds; None for what was not said.

    What two engines call the same and measure between other moments has two names here (docs/server.md).

    source:      who said it: an engine, then a proxy in front of it, such as ("vllm", "envoy")
    queue:       taken in, until it first ran
    load:        loading the model for it
    prefill:     first ran, until its first token was made
    first_token: taken in, until its first token was made: queue, load and prefill together, and what lies between them
    decode:      first token made, until the last
    total:       taken in, until all was made
    upstream:    what a proxy waited for the head of the answer
    proxy:       what a proxy took itself, besides that
    """

    source: tuple[str, ...] = ()
    queue: float | None = None
    load: float | None = None
    prefill: float | None = None
    first_token: float | None = None
    decode: float | None = None
    total: float | None = None
    upstream: float | None = None
    proxy: float | None = None

    @classmethod
    def of(cls, said: Mapping[str, Any] | None) -> "ServerTimes | None":
        """Return what was said, by these names (`otel_llm.wire.said.Said.server`); None where that is nothing."""
        told = {name: said[name] for name in cls.__struct_fields__ if name in said} if said else {}
        return cls(**told) if len(told) > 1 else None


SERVER_PARTS: Final = tuple(name for name in ServerTimes.__struct_fields__ if name != "source")


class StreamRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One finished call. All moments are nanoseconds of one monotonic clock; what is not known is None, never 0."""

    # what was asked, and of whom
    operation: str = "chat"
    provider: str | None = None
    model: str | None = None
    kind: Literal["client", "internal"] = "internal"
    stream: bool = False
    """Whether the moments of its chunks say something; see also the flag `not_streamed`."""
    server_address: str | None = None
    server_port: int | None = None
    parameters: dict[str, Any] = {}
    """Request parameters by their convention attribute name, such as `gen_ai.request.temperature`."""
    attributes: dict[str, Any] = {}
    """What the user wants on the span besides."""
    index: int | None = None
    """Number of the request in a load run, from 0."""
    conversation_id: str | None = None
    """The conversation that it is part of."""
    turn: int | None = None
    """Which turn of it, from 1."""
    trace_id: str | None = None
    """32 hexadecimal digits, as in the `traceparent` that was sent; `span_id` has 16."""
    span_id: str | None = None

    # when
    intended_ns: int | None = None
    """When an open loop meant to send it."""
    due_ns: int | None = None
    """Earliest possible send time: when the slot became free, or the planned time."""
    sent_ns: int
    """Just before the first request byte on an open connection; of a call in this process, its start."""
    connect_ns: int | None = None
    """Nanoseconds (a duration) of DNS, TCP and TLS, when this request opened its connection."""
    headers_ns: int | None = None
    stop_ns: int | None = None
    """When the server was asked to stop the answer, which a user had interrupted."""
    ended_ns: int
    chunks: Chunks

    # how it ended
    outcome: Outcome = "complete"
    error_type: str | None = None
    error_message: str | None = None
    status: int | None = None
    finish_reasons: tuple[str, ...] = ()
    response_model: str | None = None
    response_id: str | None = None
    server: ServerTimes | None = None
    """How long the server says that it took."""

    # how many tokens, and who says so
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    """Those of the input that a cache of the server had; `cache_written_tokens` were written to it."""
    cache_written_tokens: int | None = None
    reasoning_tokens: int | None = None
    token_source: TokenSource | None = None
    audio_s: float | None = None
    """Seconds of sound: of the answer, or of what was transcribed."""
    flags: tuple[str, ...] = ()
    """What a reader of the numbers should know: `apportioned`, `hidden_reasoning`, `merged_reads`, ..."""

    @property
    def endpoint(self) -> str | None:
        """Where it was sent, `HOST:PORT`; None where that is not known."""
        return None if self.server_address is None else f"{self.server_address}:{self.server_port}"

    @property
    def ok(self) -> bool:
        """Whether the answer arrived whole."""
        return self.outcome == "complete"

    def moved(self, by_ns: int) -> "StreamRecord":
        """Return the same call on a clock that reads `by_ns` more at every moment. No duration changes."""
        if not by_ns:
            return self
        moments = {name: at + by_ns for name in _MOMENTS if (at := getattr(self, name)) is not None}
        chunks = msgspec.structs.replace(self.chunks, at_ns=array("q", [at + by_ns for at in self.chunks.at_ns]))
        return msgspec.structs.replace(self, chunks=chunks, **moments)


# -- as text and as bytes ------------------------------------------------------------------------------------------


class _Columns(msgspec.Struct):
    """Chunks as JSON has them."""

    at_ns: list[int] = []
    read: list[int] = []
    kind: list[int] = []
    size: list[int] = []
    tokens: list[int] = []
    lag_ns: list[int] = []


class _Line(StreamRecord, frozen=True, kw_only=True, omit_defaults=True, tag_field="schema", tag=SCHEMA):
    """A record with its schema number, as it stands in a file."""

    chunks: _Columns  # type: ignore[assignment]  # lists in place of arrays


_encode = msgspec.json.Encoder(enc_hook=array.tolist).encode
_decode = msgspec.json.Decoder(_Line).decode
_SCHEMA_FIRST = f'{{"schema":{SCHEMA},'.encode()
_LEFT_OUT = Chunks(*(msgspec.UNSET,) * len(_CODES))  # type: ignore[arg-type]  # written as {}


def to_json(record: StreamRecord, *, chunks: bool = True) -> bytes:
    """Return the record as one line of JSON with its schema number, without a newline.

    `chunks=False` leaves the chunk columns empty.
    """
    return _SCHEMA_FIRST + _encode(record if chunks else msgspec.structs.replace(record, chunks=_LEFT_OUT))[1:]


def from_json(line: bytes | str) -> StreamRecord:
    """Return the record of a JSON line. Raises msgspec.ValidationError when it is none, or one of a newer schema."""
    read = _decode(line)
    chunks = Chunks(**{name: array(code, getattr(read.chunks, name)) for name, code in _CODES.items()})
    return StreamRecord(**{f: getattr(read, f) for f in read.__struct_fields__ if f != "chunks"}, chunks=chunks)
