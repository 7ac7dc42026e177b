"""What one call did, frozen: the value that everything else is computed from.

A record is made once, by `observe`, and read by `measures` and the sinks. It holds stamps, never durations, never
text: what a model was asked and what it said are kept elsewhere, and only by those who were told to.
"""

import sys
from array import array
from typing import Any, Final, Literal

import msgspec

__all__ = [
    "CONTENT_KINDS",
    "KIND_NAMES",
    "NESTED",
    "NOT_STREAMED",
    "OTHER",
    "PADDING",
    "REASONING",
    "SCHEMA",
    "TEXT",
    "TOOL",
    "Chunks",
    "Outcome",
    "StreamRecord",
    "TokenSource",
    "from_json",
    "to_json",
]

SCHEMA: Final = 1

# Kinds of chunk, as plain ints because they are stored in a byte and compared per packet. A chunk bears tokens when
# its delta holds text, reasoning or tool content; PADDING is a role or an empty delta, OTHER a usage or error chunk.
PADDING, TEXT, REASONING, TOOL, OTHER = range(5)
KIND_NAMES: Final = ("padding", "text", "reasoning", "tool", "other")
CONTENT_KINDS: Final = frozenset((TEXT, REASONING, TOOL))

NESTED: Final = "nested"
"""Flag of a record that is part of another one, or was made up of others, which are the ones that are counted."""

NOT_STREAMED: Final = "not_streamed"
"""Flag of a record whose tokens were timed where they were made, while the caller got them all at once."""

Outcome = Literal["complete", "closed_early", "abandoned", "cancelled", "error"]
TokenSource = Literal["provider", "counted", "chunks"]

_COLUMNS: Final = (("at_ns", "q"), ("read", "I"), ("kind", "B"), ("size", "I"), ("tokens", "I"))


class Chunks:
    """The chunks of one answer as columns of equal length, in order of arrival.

    at_ns:  int64, monotonic arrival of the read (or item) that completed the chunk
    read:   uint32, number of that read; chunks of one read arrived together
    kind:   uint8, PADDING, TEXT, REASONING, TOOL or OTHER
    size:   uint32, bytes of the event
    tokens: uint32, tokens it brought, 0 for a chunk that bears none
    lag_ns: int64, how long that read waited in the kernel before it was taken; empty where nothing can tell
    """

    __slots__ = ("at_ns", "kind", "lag_ns", "read", "size", "tokens")

    at_ns: "array[int]"
    read: "array[int]"
    kind: "array[int]"
    size: "array[int]"
    tokens: "array[int]"
    lag_ns: "array[int]"

    def __init__(self) -> None:
        self.at_ns, self.read, self.kind = array("q"), array("I"), array("B")
        self.size, self.tokens, self.lag_ns = array("I"), array("I"), array("q")

    def __len__(self) -> int:
        return len(self.at_ns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chunks) and all(getattr(self, c) == getattr(other, c) for c in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # columns are mutable arrays

    def with_tokens(self, tokens: "array[int]") -> "Chunks":
        """Return chunks that differ from these in their tokens alone; the other columns are shared."""
        other = Chunks()
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        other.tokens = tokens
        return other

    def __repr__(self) -> str:
        return f"<{len(self)} chunks in {self.read[-1] if self.read else 0} reads>"

    def to_bytes(self) -> bytes:
        """Return the columns as one little-endian blob: uint32 counts of chunks and reads, then column by column."""
        head = array("I", (len(self.at_ns), len(self.lag_ns)))
        columns = [head, *(getattr(self, name) for name, _ in _COLUMNS), self.lag_ns]
        if sys.byteorder == "big":
            columns = [array(c.typecode, c) for c in columns]
            for column in columns:
                column.byteswap()
        return b"".join(columns)

    @classmethod
    def from_bytes(cls, blob: bytes) -> "Chunks":
        """Return what `to_bytes` wrote. Raises ValueError when the blob was cut."""
        chunks, view, start = cls(), memoryview(blob), 8
        head = array("I", bytes(view[:8]))
        if sys.byteorder == "big":
            head.byteswap()
        for (name, code), count in zip(
            (*_COLUMNS, ("lag_ns", "q")), (*[head[0]] * len(_COLUMNS), head[1]), strict=True
        ):
            column = array(code)
            stop = start + count * column.itemsize
            if stop > len(view):
                raise ValueError(f"expected {stop} bytes or more of chunk columns, got {len(view)}")
            column.frombytes(view[start:stop])
            if sys.byteorder == "big":
                column.byteswap()
            setattr(chunks, name, column)
            start = stop
        return chunks


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
    trace_id: str | None = None
    """32 hexadecimal digits, as in the `traceparent` that was sent; `span_id` has 16."""
    span_id: str | None = None

    # when
    intended_ns: int | None = None
    """When an open loop meant to send it."""
    due_ns: int | None = None
    """When it could have left, had the client taken no time at all."""
    sent_ns: int
    """Just before the first request byte on an open connection; of a call in this process, its start."""
    connect_ns: int | None = None
    """Nanoseconds (a duration) of DNS, TCP and TLS, when this request opened its connection."""
    headers_ns: int | None = None
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

    # how many tokens, and who says so
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    token_source: TokenSource | None = None
    flags: tuple[str, ...] = ()
    """What a reader of the numbers should know: `apportioned`, `hidden_reasoning`, `merged_reads`, ..."""

    @property
    def ok(self) -> bool:
        """Whether the answer arrived whole."""
        return self.outcome == "complete"


# -- as text and as bytes ------------------------------------------------------------------------------------------


def _columns(chunks: object) -> object:
    if isinstance(chunks, Chunks):
        return {name: getattr(chunks, name).tolist() for name, _ in (*_COLUMNS, ("lag_ns", "q"))}
    raise NotImplementedError(f"cannot write a {type(chunks).__name__}")


def _from_columns(kind: type, value: Any) -> Any:
    if kind is not Chunks:
        raise NotImplementedError(f"cannot read a {kind.__name__}")
    chunks = Chunks()
    for name, code in (*_COLUMNS, ("lag_ns", "q")):
        setattr(chunks, name, array(code, value.get(name, ())))
    return chunks


class _Line(StreamRecord, frozen=True, kw_only=True, omit_defaults=True, tag_field="schema", tag=SCHEMA):
    """A record with its schema number, as it stands in a file."""


_encode = msgspec.json.Encoder(enc_hook=_columns).encode
_encode_head = msgspec.json.Encoder(enc_hook=lambda _: {}).encode
_decoder = msgspec.json.Decoder(_Line, dec_hook=_from_columns)
_SCHEMA_FIRST = f'{{"schema":{SCHEMA},'.encode()


def to_json(record: StreamRecord, *, chunks: bool = True) -> bytes:
    """Return the record as one line of JSON, with its schema number and without the newline; as if it had no chunks."""
    return _SCHEMA_FIRST + (_encode(record) if chunks else _encode_head(record))[1:]


def from_json(line: bytes | str) -> StreamRecord:
    """Return the record of a JSON line. Raises msgspec.ValidationError when it is none, or one of a newer schema."""
    line_record = _decoder.decode(line)
    return StreamRecord(**{f: getattr(line_record, f) for f in line_record.__struct_fields__})
