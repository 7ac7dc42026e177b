"""What a protocol plugin is: a translator without sockets and without a clock.

One class per protocol, one instance per answer. `encode` turns what is to be asked into the bytes of a request;
`decode` turns one event of the answer into a `Delta`, and notes in `self.said` what the answer states about itself.
The same plugin serves the load generator, the model classes, a replayed recording and the tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import orjson

from otel_llm.record import PADDING, REASONING, TEXT, TOOL
from otel_llm.wire.said import Said

__all__ = ["NOTHING", "Ask", "Delta", "Media", "Protocol", "WireRequest", "json_body", "reasoning", "text", "tool"]

Delta = tuple[int, str, int]
"""What one event brought: (kind of chunk, its text, its tokens or 0 when the event does not say)."""

NOTHING: Delta = (PADDING, "", 0)


def text(content: str, tokens: int = 0) -> Delta:
    """Return the delta of an event that brought text."""
    return (TEXT, content, tokens) if content else NOTHING


def reasoning(content: str, tokens: int = 0) -> Delta:
    """Return the delta of an event that brought reasoning."""
    return (REASONING, content, tokens) if content else NOTHING


def tool(content: str, tokens: int = 0) -> Delta:
    """Return the delta of an event that brought a piece of a tool call."""
    return (TOOL, content, tokens) if content else NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A question, independent of any protocol.

    messages:   [{"role": ..., "content": ...}, ...]; `prompt` is the content of the last one
    parameters: by the protocol's own names. They override everything else in the body, at its top level or where the
                protocol keeps them (`options`, `parameters`); a value of None removes the key
    token_ids:  of the prompt, for a protocol that sends those (`Protocol.as_ids`)
    """

    model: str
    messages: Sequence[Mapping[str, Any]]
    stream: bool = True
    parameters: Mapping[str, Any] = field(default_factory=dict)
    token_ids: Sequence[int] = ()

    @property
    def prompt(self) -> str:
        return str(self.messages[-1]["content"]) if self.messages else ""


class Media(NamedTuple):
    """An image, a recording or a video that goes with a prompt. media_type: such as image/png; data: in base64"""

    media_type: str
    data: str

    @property
    def kind(self) -> str:
        """image, audio or video."""
        return self.media_type.partition("/")[0]

    @property
    def format(self) -> str:
        """What kind of file it is: png, wav, mp4."""
        return self.media_type.partition("/")[2]

    @property
    def url(self) -> str:
        """The whole of it as a URL."""
        return f"data:{self.media_type};base64,{self.data}"


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request as it goes out: `headers` are added to those the transport makes (Host, Content-Length, ...)."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Protocol:
    """The contract. A plugin sets `name` and `paths`, and has `encode` and `decode`; the rest has defaults.

    name:    what `--protocol` says
    paths:   endings of URL paths by which the protocol is recognised; `*` in one stands for anything
    framing: "sse", "ndjson", "event_stream" or "bytes", used where the answer's Content-Type does not tell; of bytes,
             what each read brought is an event
    keeps:   whether events are kept with an answer: text is, sound and images are not
    provider: the convention's provider whose format this is
    streams: whether a stream can be asked for; without, an answer has its latency and no first token
    finishes: whether a whole answer carries a finish reason; one without it then counts as cut short
    repeats: whether an event with text means the same whatever came before it; then events that differ in their text
             only need not be parsed (`otel_llm.wire.repeats`)
    media:   the kinds that `with_media` takes: image, audio, video
    needs:   the one of them without which there is nothing to ask; "" for none
    samples_per_s: of the sound that is drawn for it
    conversations: whether `encode` sends all messages of an ask, so that a conversation can go on
    authorization: the header that carries the key, with {} where the key goes
    carriers: what requests can go by: "http", "grpc", "websocket"; the scheme of the URL says which
    as_ids: what goes as token ids in the place of text: "prompt", "answer"
    versions: addresses beside the endpoint at which servers of this protocol tell their version, each with the member
             of the JSON object there that has it

    While events come in, `decode` fills `said`. It sets `done` to end an answer before the connection does.
    """

    name: ClassVar[str] = ""
    paths: ClassVar[tuple[str, ...]] = ()
    framing: ClassVar[str] = "sse"
    keeps: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    finishes: ClassVar[bool] = True
    repeats: ClassVar[bool] = False
    conversations: ClassVar[bool] = False
    operation: ClassVar[str] = "chat"
    media: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[str] = ""
    samples_per_s: ClassVar[int] = 24_000
    provider: ClassVar[str | None] = None
    accept: ClassVar[str] = "text/event-stream"
    authorization: ClassVar[str] = "Authorization: Bearer {}"
    carriers: ClassVar[tuple[str, ...]] = ("http",)
    as_ids: ClassVar[tuple[str, ...]] = ()
    versions: ClassVar[tuple[tuple[str, str], ...]] = ()

    __slots__ = ("done", "said")

    def __init__(self) -> None:
        self.said = Said()
        self.done = False

    @classmethod
    def path(cls, model: str, *, stream: bool) -> str:
        """Return where requests go below the base URL of a server, with a query where one is needed; "" for nowhere."""
        return cls.paths[0] if cls.paths else ""

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        """Return the request. Called ahead of time, never while packets are awaited."""
        raise NotImplementedError(f"{cls.__name__}.encode")

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:  # for those that can say it
        """Return the parameters that make an answer `tokens` tokens long, or no longer where no more can be said.

        They are laid over the body as a user's own are, and give way to them. Empty: the protocol cannot say it.
        """
        return {}

    @classmethod
    def with_media(cls, text: str, media: Sequence[Media]) -> Mapping[str, Any]:  # for those that take any
        """Return what of a user's message changes where media go with its text: its content, or a member besides."""
        raise NotImplementedError(f"{cls.__name__}.with_media")

    @classmethod
    def as_sent(cls, body: bytes) -> bytes:
        """Return the body of a request as it goes out: JSON, but for a protocol of forms."""
        return body

    @classmethod
    def sound_asked(cls, body: bytes) -> float | None:  # for those that need audio
        """Return the seconds of sound that a body asks to be worked through; None where there is none, or no length."""
        return None

    @classmethod
    def characters_asked(cls, body: bytes) -> int | None:  # for those whose servers may count them
        """Return the characters of all texts that a body has worked through; None where that cannot be told."""
        return None

    def decode(self, event: bytes) -> Delta | None:
        """Return what one event brought; None when it is no chunk at all (an end marker).

        `event` is the data of one SSE event, one NDJSON line, or the whole body of an answer that was not streamed.
        An event that cannot be understood raises ValueError: the request then counts as failed.
        """
        raise NotImplementedError(f"{type(self).__name__}.decode")


def json_body(body: Mapping[str, Any], parameters: Mapping[str, Any]) -> bytes:
    """Return `body` as JSON, overridden by `parameters`. A parameter of None removes its key."""
    merged = {**body, **parameters}
    return orjson.dumps({key: value for key, value in merged.items() if key not in parameters or value is not None})
