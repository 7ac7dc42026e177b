"""How the simulated server speaks: what it reads from a request, and the events and bodies of its answer.

A protocol says its answer in JSON: what opens a stream, a piece of it, what closes it, and the whole. The rest is the
same for all: framing, padding, the false counts of a knob, and that equal events are encoded once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from otel_llm.errors import ConfigError
from otel_llm.sim.behaviour import Behaviour
from otel_llm.sim.truth import Took

__all__ = ["Format", "Json", "Question", "object_in"]

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request for an answer, with the behaviour that applies to it.

    limit:         the most tokens that the request allows, 0 where it sets no limit
    prompt_tokens: as many as words, or else a quarter of the body's bytes, rounded up
    words:         of the prompt, where there is a prefix cache
    cached_tokens: of the prompt, from the prefix cache
    inputs:        how many texts it holds, in a protocol where that may be several
    sound:         whether it asks for sound, in a protocol that has both
    usage, every:  whether it asks for usage at the end, and in each chunk, in a protocol where that is asked for
    """

    model: str
    stream: bool
    limit: int
    prompt_tokens: int
    behaviour: Behaviour
    inputs: int = 1
    sound: bool = False
    usage: bool = True
    every: bool = False
    words: Sequence[str] = ()
    cached_tokens: int = 0

    @property
    def tokens(self) -> int:
        """How many tokens the answer has."""
        return self.behaviour.tokens or self.limit or 16

    @property
    def finish(self) -> str:
        """Why the answer ends: "length" or "stop"."""
        return "length" if self.tokens == self.limit else "stop"


class Format:
    """One answer in the words of one protocol, which has a subclass.

    generates: whether tokens are made; else an answer leaves when a first token would
    prompt:  the member of a request that holds what is asked; it tells protocols of one path apart
    limits:  where a request may say how many tokens it allows, `a.b` for b in the object a
    reasons: what the protocol calls the two finish reasons
    named:   whether events bear their type as a name
    counts:  whether each event has a number that the next has not
    marker:  whether `[DONE]` ends a stream
    over_http: whether an answer has a head and a body; else it is its events and nothing else
    """

    generates: ClassVar[bool] = True
    prompt: ClassVar[str] = "messages"
    limits: ClassVar[tuple[str, ...]] = ("max_tokens",)
    reasons: ClassVar[Mapping[str, str]] = {"stop": "stop", "length": "length"}
    content_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    named: ClassVar[bool] = False
    counts: bool = False
    marker: ClassVar[bool] = False
    over_http: ClassVar[bool] = True

    def __init__(self, question: Question, request_id: str, created: int) -> None:
        behaviour = question.behaviour
        self.question, self.behaviour, self.request_id, self.created = question, behaviour, request_id, created
        self.states_usage = behaviour.usage != "never"
        self._lie = (behaviour.usage_lie or 10) if behaviour.usage == "lying" else behaviour.usage_lie
        self._newline = b"\r\n" if behaviour.crlf else b"\n"
        self._pad = {"pad": "x" * behaviour.pad} if behaviour.pad else {}
        self.took: Callable[[], Took] = lambda: Took(0, 0, 0, 0)
        """How long the answer took: to be asked for behind its last token."""
        self._ready: dict[tuple[bool, int], tuple[bytes, int]] = {}

    # -- what a request asks for -------------------------------------------------------------------------------

    @classmethod
    def model(cls, fields: Json, path: str) -> str:
        """Return the name of the model that is asked."""
        return str(fields.get("model", "sim"))

    @classmethod
    def streams(cls, fields: Json, path: str, headers: Mapping[str, str]) -> bool:
        """Return whether a stream is asked for."""
        return bool(fields.get("stream", False))

    @classmethod
    def prompt_length(cls, fields: Json) -> int:
        """Return the tokens of the prompt where it comes in tokens, else 0."""
        return 0

    @classmethod
    def usage_asked(cls, fields: Json) -> tuple[bool, bool]:
        """Return whether usage is asked for at the end, and in each chunk. Most protocols have it without asking."""
        return True, False

    # -- what an answer says -----------------------------------------------------------------------------------

    def opening(self) -> list[Json]:
        """Return what comes before the first token."""
        return []

    @classmethod
    def refusal(cls, message: str, kind: str, status: int) -> Json:
        """Return what a server says with an error status, or in its place."""
        return {"error": {"message": message, "type": kind, "code": status}}

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        """Return what brings tokens.

        so_far: the answer's tokens including these
        finish: of the last ones the finish reason, in the protocol's word
        """
        raise NotImplementedError

    def closing(self, tokens: int, finish: str) -> list[Json]:
        """Return what comes after the last token."""
        return []

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        """Return an answer that is not streamed."""
        raise NotImplementedError

    def failure(self, message: str) -> Json:
        """Return an error inside a stream."""
        return {"error": {"message": message, "type": "server_error", "code": 500}}

    @property
    def answers(self) -> int:
        """How many answers a whole one holds, all of one length: more where a request has several questions."""
        return 1

    def count(self, tokens: int) -> int:
        """Return the number of output tokens as it is to be stated, which a knob may make a lie."""
        return tokens + self._lie

    def times(self) -> Json:
        """Return what `closing` says of how long it took, in the words of this protocol's server; {} unless asked."""
        return self.own_times(self.took()) if self.behaviour.times and self.question.stream else {}

    def own_times(self, took: Took) -> Json:
        """Return what this protocol's server says of it."""
        return {}

    @property
    def prompt_tokens(self) -> int:
        return self.question.prompt_tokens

    # -- as bytes ----------------------------------------------------------------------------------------------

    def comment(self) -> bytes:
        """Return a sign of life; b"" where the protocol has none."""
        return b": keep-alive" + self._newline * 2

    def begin(self) -> tuple[bytes, int]:
        """Return the events before the first token, and how many they are."""
        return self._events(self.opening())

    def text(self, tokens: int, so_far: int, *, thought: bool, finish: str | None = None) -> tuple[bytes, int]:
        """Return the events of `tokens` tokens, and how many they are; equal events are the same object."""
        words = self.behaviour.text * tokens
        if finish is not None or self.counts:
            reason = None if finish is None else self.reasons[finish]
            return self._events(self.piece(words, thought=thought, so_far=so_far, finish=reason))
        ready = self._ready.get((thought, tokens))
        if ready is None:
            ready = self._events(self.piece(words, thought=thought, so_far=so_far, finish=None))
            self._ready[thought, tokens] = ready
        return ready

    def tail(self, tokens: int, finish: str) -> tuple[bytes, int]:
        """Return the events after the last token, and how many they are."""
        data, events = self._events(self.closing(tokens, self.reasons[finish]))
        done = self.frame(b"[DONE]") if self.marker and self.behaviour.done else b""
        return data + done, events + bool(done)

    def stopped(self, tokens: int) -> tuple[bytes, int]:  # for those in which a client can have it stopped
        """Return what ends an answer after so many tokens as its client wants no more, and how many events it is."""
        raise NotImplementedError

    def bad_json(self) -> bytes:
        """Return an event that breaks off, in its text where that is the piece alone."""
        (event, *_) = self.piece("tru", thought=False, so_far=1, finish=None)
        data = orjson.dumps(event)
        return self.frame(data[: data.find(b'"tru') + 4])

    def stream_error(self) -> bytes:
        return self._events([self.failure("injected stream error")])[0]

    def whole(self, tokens: int, finish: str) -> bytes:
        """Return the body of an answer that is not streamed."""
        thoughts = min(self.behaviour.reasoning, tokens)
        text, thought = self.behaviour.text * (tokens - thoughts), self.behaviour.text * thoughts
        return orjson.dumps(self.body(text, thought, tokens, self.reasons[finish]))

    def frame(self, data: bytes, name: str = "") -> bytes:
        """Return one event."""
        named = b"event: %b%b" % (name.encode(), self._newline) if name else b""
        return b"%bdata: %b%b%b" % (named, data, self._newline, self._newline)

    def _events(self, events: list[Json]) -> tuple[bytes, int]:
        pad, named = self._pad, self.named
        framed = [self.frame(orjson.dumps({**e, **pad} if pad else e), e["type"] if named else "") for e in events]
        return framed[0] if len(framed) == 1 else b"".join(framed), len(framed)


def object_in(fields: Json, name: str) -> Json:
    """Return an object among the members of another, {} for none. Raises ConfigError for what is no object."""
    value = fields.get(name) or {}
    if not isinstance(value, dict):
        raise ConfigError(f"an object as {name}", value, "leave it out, or send {}")
    return value
