"""The JSON of OpenAI's API: what the simulated server reads from a request's body, and the words of its answer."""

from dataclasses import dataclass
from typing import Any

import orjson

from otel_llm.errors import ConfigError
from otel_llm.sim.behaviour import Behaviour
from otel_llm.sim.writes import error_body

__all__ = ["Question", "Renderer", "read_question"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request for an answer, with the behaviour that applies to it.

    limit:         the most tokens that the request allows, 0 where it sets no limit
    prompt_tokens: a quarter of the body's bytes, rounded up
    usage, every:  whether it asks for usage at the end, and in each chunk
    """

    chat: bool
    model: str
    stream: bool
    limit: int
    usage: bool
    every: bool
    prompt_tokens: int
    behaviour: Behaviour

    @property
    def tokens(self) -> int:
        """How many tokens the answer has."""
        return self.behaviour.tokens or self.limit or 16


def read_question(body: bytes, behaviour: Behaviour, *, chat: bool) -> Question:
    """Return what `body` asks for. Raises ConfigError for a body that cannot be used."""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ConfigError("a JSON body", error, "send an object with model and messages or prompt") from None
    if not isinstance(fields, dict):
        raise ConfigError("a JSON object as body", type(fields).__name__, "send model and messages or prompt")
    options = _table(fields, "stream_options")
    return Question(
        chat=chat,
        model=str(fields.get("model", "sim")),
        stream=bool(fields.get("stream", False)),
        limit=_limit(fields),
        usage=bool(options.get("include_usage")),
        every=bool(options.get("continuous_usage_stats")),
        prompt_tokens=(len(body) + 3) // 4,
        behaviour=behaviour.with_values(_table(fields, "sim")),
    )


def _table(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name) or {}
    if not isinstance(value, dict):
        raise ConfigError(f"an object as {name}", value, "leave it out, or send {}")
    return value


def _limit(fields: dict[str, Any]) -> int:
    for name in ("max_completion_tokens", "max_tokens"):
        value = fields.get(name)
        if value is not None:
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"a whole number above 0 as {name}", value, "leave it out, or send 1 or more")
            return value
    return 0


class Renderer:
    """Writes the events of one answer. What they share is encoded once, and an event of n tokens once per n."""

    def __init__(self, question: Question, request_id: str, created: int) -> None:
        behaviour = question.behaviour
        self._question = question
        self._newline = b"\r\n" if behaviour.crlf else b"\n"
        self._every = behaviour.usage == "every" or question.every
        self._lie = (behaviour.usage_lie or 10) if behaviour.usage == "lying" else behaviour.usage_lie
        self._head = self._opening(request_id, created)
        self._plain: dict[tuple[str, int], bytes] = {}

    def _opening(self, request_id: str, created: int) -> bytes:
        chat, behaviour = self._question.chat, self._question.behaviour
        kind = ("chat.completion" if chat else "text_completion") + (".chunk" if chat and self._question.stream else "")
        fields: dict[str, Any] = {
            "id": ("chatcmpl-" if chat else "cmpl-") + request_id,
            "object": kind,
            "created": created,
            "model": self._question.model,
        }
        if behaviour.pad:
            fields["pad"] = "x" * behaviour.pad
        return orjson.dumps(fields)[:-1] + b","

    def _event(self, data: bytes) -> bytes:
        return b"data: %b%b%b" % (data, self._newline, self._newline)

    def comment(self) -> bytes:
        return b": keep-alive" + self._newline * 2

    def role(self) -> bytes:
        delta = (
            b'"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}'
        )
        return self._event(self._head + delta)

    def text(self, field: str, tokens: int, so_far: int, finish: str | None = None) -> bytes:
        """Return an event of `tokens` tokens in `field` of the delta; equal events are the same object.

        so_far: the answer's tokens including these, for answers that state usage in each chunk
        """
        if finish is None and not self._every:
            event = self._plain.get((field, tokens))
            if event is None:
                event = self._plain[field, tokens] = self._event(self._head + self._choice(field, tokens, None) + b"}")
            return event
        usage = b"," + self._usage(so_far) if self._every else b""
        return self._event(self._head + self._choice(field, tokens, finish) + usage + b"}")

    def _choice(self, field: str, tokens: int, finish: str | None) -> bytes:
        text = self._question.behaviour.text * tokens
        piece: dict[str, Any] = {"delta": {field: text}} if self._question.chat else {"text": text}
        return b'"choices":' + orjson.dumps([{"index": 0, **piece, "logprobs": None, "finish_reason": finish}])

    def _usage(self, tokens: int) -> bytes:
        prompt, completion = self._question.prompt_tokens, tokens + self._lie
        table: dict[str, Any] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
        thought = min(self._question.behaviour.reasoning, tokens)
        if thought:
            table["completion_tokens_details"] = {"reasoning_tokens": thought}
        return b'"usage":' + orjson.dumps(table)

    def tail(self, tokens: int) -> tuple[bytes, int]:
        """Return the events after the last token, usage and `[DONE]`, and how many they are."""
        usage = self._question.behaviour.usage
        asked = usage in ("always", "lying") or (usage == "auto" and self._question.usage) or self._every
        tail = self._event(self._head + b'"choices":[],' + self._usage(tokens) + b"}") if asked else b""
        done = self._event(b"[DONE]") if self._question.behaviour.done else b""
        return tail + done, bool(tail) + bool(done)

    def bad_json(self) -> bytes:
        return self._event(self._head + b'"choices":[{"index":0,"delta":{"content":"tru')

    def stream_error(self) -> bytes:
        return self._event(error_body("injected stream error", "server_error", 500))

    def whole(self, tokens: int, finish: str) -> bytes:
        """Return the body of an answer that is not streamed."""
        behaviour = self._question.behaviour
        thought = min(behaviour.reasoning, tokens) if self._question.chat else 0
        text = behaviour.text * (tokens - thought)
        piece: dict[str, Any] = {"text": text}
        if self._question.chat:
            piece = {"message": {"role": "assistant", "content": text}}
            if thought:
                piece["message"][behaviour.reasoning_field] = behaviour.text * thought
        choice = orjson.dumps([{"index": 0, **piece, "logprobs": None, "finish_reason": finish}])
        usage = b"" if behaviour.usage == "never" else b"," + self._usage(tokens)
        return self._head + b'"choices":' + choice + usage + b"}"
