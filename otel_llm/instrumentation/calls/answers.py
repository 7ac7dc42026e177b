"""What an answer says of itself: the kind of a streamed item (content, padding or usage), its token counts.

A string is what it says. Objects and dicts of the well-known shapes (OpenAI's chunks and whatever copies them) are
read for their content and usage; any other non-empty item of a stream is one token. Of a whole result a list of tokens
is counted, a tensor of token ids has its size, and `usage` is believed. The tokens of a string are known to `tokens=`
alone: nothing is guessed.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from otel_llm.record import OTHER, PADDING, REASONING, TEXT, TOOL, ServerTimes
from otel_llm.wire.server_timings import timings_in

__all__ = ["AnswerFacts", "event_of_responses", "kind_of", "member", "read_json", "read_result", "read_usage"]


class AnswerFacts(Protocol):
    """Where what an answer says of itself is put: the part of a `StreamObservation` that readers of answers fill."""

    head: dict[str, Any]

    def set(self, **fields: Any) -> None: ...
    def counted(self, output: int) -> None: ...
    def usage(
        self,
        *,
        input: int | None = None,  # noqa: A002  # the convention's own word
        output: int | None = None,
        cached: int | None = None,
        cache_written: int | None = None,
        reasoning: int | None = None,
    ) -> None: ...


_INPUT: Final = ("prompt_tokens", "input_tokens", "prompt_eval_count", "prompt_token_count")
_OUTPUT: Final = ("completion_tokens", "output_tokens", "eval_count", "candidates_token_count")
_INPUT_DETAILS: Final = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_OUTPUT_DETAILS: Final = ("completion_tokens_details", "output_tokens_details", "output_token_details")
_CACHED: Final = ("cached_tokens", "cache_read", "cache_read_input_tokens")
_CACHE_WRITTEN: Final = ("cache_write_tokens", "cache_creation")
_REASONING: Final = ("reasoning_tokens", "reasoning")
_USAGES: Final = ("usage", "usage_metadata", "token_usage")
_EMPTY: Final = (str, bytes, bytearray, list, tuple, dict, set, frozenset)
_PLAIN: Final = frozenset((str, bytes, bytearray, list, tuple, set, frozenset, int, float, bool))
_DELTA: Final = (
    ("content", TEXT),
    ("reasoning_content", REASONING),
    ("reasoning", REASONING),
    ("refusal", TEXT),
    ("tool_calls", TOOL),
    ("function_call", TOOL),
)


def kind_of(item: Any, observation: AnswerFacts | None = None) -> int:
    """Return the kind of an item; what it says of the answer (usage, model, finish reason) goes to `observation`."""
    if item is None:
        return PADDING
    if item.__class__ in _PLAIN:
        return PADDING if isinstance(item, _EMPTY) and not item else TEXT
    if observation is not None:
        read_usage(item, observation)
    choices = member(item, "choices")
    if isinstance(choices, list | tuple):
        return _kind_of_choices(choices) if choices else OTHER
    if choices is None and hasattr(item, "choices"):
        return OTHER
    for name in ("content", "text", "response"):
        words = member(item, name)
        if isinstance(words, str):
            return TEXT if words else PADDING
    return PADDING if isinstance(item, _EMPTY) and not item else TEXT


def _kind_of_choices(choices: "list[Any] | tuple[Any, ...]") -> int:
    kind = PADDING
    for choice in choices:
        if member(choice, "text"):
            return TEXT
        delta = member(choice, "delta") or member(choice, "message")
        brought = next((kind for name, kind in _DELTA if delta is not None and member(delta, name)), PADDING)
        kind = brought if TEXT in (kind, brought) and brought == TEXT else kind or brought
    return kind


# -- whole results and usage -------------------------------------------------------------------------------------------


def member(thing: Any, name: str) -> Any:
    """Return `thing[name]` of a mapping, else `thing.name`; None when there is none."""
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def event_of_responses(item: Any) -> str | None:
    """Return which event of OpenAI's Responses an item is, None where it is none. Most of them tell of text again."""
    kind = member(item, "type")
    kind = getattr(kind, "value", kind)  # litellm has members of an enum
    return kind if isinstance(kind, str) and kind.startswith("response.") else None


def read_json(body: Any) -> Mapping[str, Any]:
    """Return the members of a body in JSON; none of anything else."""
    try:
        found = json.loads(body) if isinstance(body, str | bytes | bytearray) else None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def read_result(value: Any, observation: AnswerFacts, tokens: Callable[[Any], int] | None = None) -> None:
    """Take what `value`, returned by a call, says about its tokens. `tokens` counts them, if given."""
    if tokens is not None:
        observation.counted(tokens(value))
    elif value is None or isinstance(value, str | bytes | int | float):
        return
    elif isinstance(value, list | tuple):
        if (count := _count_tokens(value)) is not None:
            observation.counted(count)
    elif (shape := _shape(value)) is not None:
        observation.counted(math.prod(shape))
    else:
        read_usage(value, observation)


def _count_tokens(tokens: "list[Any] | tuple[Any, ...]") -> int | None:
    """Return the number of tokens in a list of them, or in a batch of such lists."""
    if all(isinstance(token, str | int) for token in tokens):
        return len(tokens)
    counts = [_count_tokens(row) if isinstance(row, list | tuple) else _size(row) for row in tokens]
    return None if None in counts else sum(count for count in counts if count is not None)


def _size(row: Any) -> int | None:
    shape = _shape(row)
    return None if shape is None else math.prod(shape)


def _shape(tensor: Any) -> tuple[int, ...] | None:
    """Return the shape of an array or tensor of any library, without touching its data: that may be on a GPU."""
    shape = getattr(tensor, "shape", None)
    if shape is None or not hasattr(tensor, "dtype"):
        return None
    return tuple(int(length) for length in shape)


def read_usage(answer: Any, observation: AnswerFacts) -> None:
    """Take usage, model, id, finish reasons and the server's own times off an answer of a well-known shape."""
    last = False  # what an answer says of its times comes with its bill, or with its end
    for name in _USAGES:
        if (usage := member(answer, name)) is not None:
            last = True
            _take_usage(usage, observation)
    if member(answer, "eval_count") is not None:  # Ollama has it at the top
        last = True
        _take_usage(answer, observation)
    for field, name in (("response_model", "model"), ("response_id", "id")):
        if isinstance(value := member(answer, name), str) and value:
            observation.set(**{field: value})
    choices = member(answer, "choices")
    reasons = [member(choice, "finish_reason") for choice in choices] if isinstance(choices, list | tuple) else []
    if found := tuple(reason for reason in reasons if isinstance(reason, str) and reason):
        observation.set(finish_reasons=found)
    if (last or found) and (server := ServerTimes.of(timings_in(answer))) is not None:
        observation.set(server=server)


def _take_usage(usage: Any, observation: AnswerFacts) -> None:
    observation.usage(
        input=_number(usage, _INPUT),
        output=_number(usage, _OUTPUT),
        cached=_detail(usage, _INPUT_DETAILS, _CACHED),
        cache_written=_detail(usage, _INPUT_DETAILS, _CACHE_WRITTEN),
        reasoning=_detail(usage, _OUTPUT_DETAILS, _REASONING),
    )


def _detail(usage: Any, groups: tuple[str, ...], names: tuple[str, ...]) -> int | None:
    for group in groups:
        if (details := member(usage, group)) is not None and (count := _number(details, names)) is not None:
            return count
    return _number(usage, names)


def _number(thing: Any, names: tuple[str, ...]) -> int | None:
    for name in names:
        value = member(thing, name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None
