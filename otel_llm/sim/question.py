"""What a request asks for: the few fields of its body that the simulated server heeds."""

from dataclasses import dataclass
from typing import Any

import orjson

from otel_llm.errors import ConfigError
from otel_llm.sim.behaviour import Behaviour

__all__ = ["Question", "read_question"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request for an answer, with the behaviour that applies to it.

    limit:         the most tokens that the request allows, 0 where it sets no limit
    prompt_tokens: a quarter of the body's bytes, rounded up
    usage, every:  whether it asks for the tokens' count at the end, and in each chunk
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
    """Return what `body` asks for. Raises ConfigError where it cannot be used."""
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
