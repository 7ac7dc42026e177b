"""A question in the form that any protocol can send."""

from collections.abc import Mapping, Sequence
from typing import Any

from otel_llm.wire.protocol import Ask, Protocol

__all__ = ["ask_of"]


def ask_of(
    protocol: type[Protocol],
    *messages: str | Mapping[str, Any],
    stream: bool = True,
    parameters: Mapping[str, Any] | None = None,
) -> Ask:
    """Return a question of the model `m`, each message a user's text or whole; where ids are sent, it is a 7."""
    said: Sequence[Mapping[str, Any]] = [
        {"role": "user", "content": each} if isinstance(each, str) else each for each in messages
    ]
    ids = (7,) if "prompt" in protocol.as_ids else ()
    return Ask(model="m", messages=said, stream=stream, parameters=parameters or {}, token_ids=ids)
