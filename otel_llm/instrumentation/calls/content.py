"""What was asked and answered, on the span, only where the environment asks for it.

`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` is read per call; by default nothing here runs.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from otel_llm import conventions
from otel_llm.observation import StreamObservation

__all__ = ["VARIABLE", "is_wanted", "put_answer", "put_question"]

VARIABLE: Final = conventions.CAPTURE_CONTENT
_ARGUMENTS: Final = ("messages", "prompt", "task", "text", "input", "inputs")


def is_wanted() -> bool:
    """Return whether message content may go onto spans."""
    return conventions.capture_content(os.environ) in ("span", "both")


def put_question(head: dict[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Add the messages that a call was made with to what is known of it beforehand."""
    found = next((kwargs[name] for name in _ARGUMENTS if name in kwargs), args[0] if args else None)
    if messages := _messages(found):
        _put(head, conventions.INPUT_MESSAGES, messages)


def put_answer(observation: StreamObservation, texts: Sequence[str]) -> None:
    """Add the text that came back."""
    message = {"role": "assistant", "parts": [{"type": "text", "content": "".join(texts)}]}
    _put(observation.head, conventions.OUTPUT_MESSAGES, [message])


def _put(head: dict[str, Any], name: str, messages: list[Any]) -> None:
    head["attributes"] = {**head.get("attributes", {}), name: orjson.dumps(messages, default=str).decode()}


def _messages(found: Any) -> list[Any]:
    if isinstance(found, str):
        return [{"role": "user", "parts": [{"type": "text", "content": found}]}]
    if isinstance(found, list) and all(isinstance(message, Mapping) for message in found):
        return [
            {"role": message.get("role"), "parts": [{"type": "text", "content": message.get("content")}]}
            for message in found
        ]
    return []
