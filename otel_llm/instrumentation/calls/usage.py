"""How many tokens a result holds, and what else it says about itself.

A list of tokens is counted, a tensor of token ids has its size, an object or dict with `usage` is believed. The tokens
of a string are known to `tokens=` alone: nothing is guessed.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from otel_llm.observation import StreamObservation

__all__ = ["member", "of_object", "read"]

_INPUT: Final = ("prompt_tokens", "input_tokens", "prompt_eval_count", "prompt_token_count")
_OUTPUT: Final = ("completion_tokens", "output_tokens", "eval_count", "candidates_token_count")
_INPUT_DETAILS: Final = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_OUTPUT_DETAILS: Final = ("completion_tokens_details", "output_tokens_details", "output_token_details")
_CACHED: Final = ("cached_tokens", "cache_read", "cache_read_input_tokens")
_REASONING: Final = ("reasoning_tokens", "reasoning")
_BILLS: Final = ("usage", "usage_metadata", "token_usage")


def member(thing: Any, name: str) -> Any:
    """Return `thing[name]` of a mapping, else `thing.name`; None when there is none."""
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def read(value: Any, observation: StreamObservation, tokens: Callable[[Any], int] | None = None) -> None:
    """Take what `value`, returned by a call, says about its tokens. `tokens` counts them, if given."""
    if tokens is not None:
        observation.counted(tokens(value))
    elif value is None or isinstance(value, str | bytes | int | float):
        return
    elif isinstance(value, list | tuple):
        if (count := _of_list(value)) is not None:
            observation.counted(count)
    elif (shape := _shape(value)) is not None:
        observation.counted(math.prod(shape))
    else:
        of_object(value, observation)


def _of_list(tokens: "list[Any] | tuple[Any, ...]") -> int | None:
    """Return the number of tokens in a list of them, or in a batch of such lists."""
    if all(isinstance(token, str | int) for token in tokens):
        return len(tokens)
    counts = [_of_list(row) if isinstance(row, list | tuple) else _size(row) for row in tokens]
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


def of_object(answer: Any, observation: StreamObservation) -> None:
    """Take usage, model, id and finish reasons off an answer of a well-known shape."""
    for name in _BILLS:
        if (bill := member(answer, name)) is not None:
            _of_bill(bill, observation)
    if member(answer, "eval_count") is not None:  # Ollama has it at the top
        _of_bill(answer, observation)
    for field, name in (("response_model", "model"), ("response_id", "id")):
        if isinstance(value := member(answer, name), str) and value:
            observation.set(**{field: value})
    choices = member(answer, "choices")
    reasons = [member(choice, "finish_reason") for choice in choices] if isinstance(choices, list | tuple) else []
    if found := tuple(reason for reason in reasons if isinstance(reason, str) and reason):
        observation.set(finish_reasons=found)


def _of_bill(bill: Any, observation: StreamObservation) -> None:
    observation.usage(
        input=_number(bill, _INPUT),
        output=_number(bill, _OUTPUT),
        cached=_detail(bill, _INPUT_DETAILS, _CACHED),
        reasoning=_detail(bill, _OUTPUT_DETAILS, _REASONING),
    )


def _detail(bill: Any, groups: tuple[str, ...], names: tuple[str, ...]) -> int | None:
    for group in groups:
        if (details := member(bill, group)) is not None and (count := _number(details, names)) is not None:
            return count
    return _number(bill, names)


def _number(thing: Any, names: tuple[str, ...]) -> int | None:
    for name in names:
        value = member(thing, name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None
