"""A question in the form that any protocol can send."""

from collections.abc import Mapping, Sequence
from typing import Any

from otel_llm.load.prompts.media import parse_audio
from otel_llm.wire.protocol import Ask, Protocol

__all__ = ["ask_of"]


def ask_of(
    protocol: type[Protocol],
    *messages: str | Mapping[str, Any],
    stream: bool = True,
    parameters: Mapping[str, Any] | None = None,
) -> Ask:
    """Return a question of the model `m`, each message a user's text or whole.

    A recording goes with the last one, and the id 7 stands for it, where a protocol needs them.
    """
    said: Sequence[Mapping[str, Any]] = [
        {"role": "user", "content": each} if isinstance(each, str) else each for each in messages
    ]
    if protocol.needs == "audio":
        (recording,) = parse_audio("0.1s", 1, 1, protocol.samples_per_s).pool
        said = [*said[:-1], {**said[-1], **protocol.with_media(said[-1]["content"], [recording])}]
    ids = (7,) if "prompt" in protocol.as_ids else ()
    return Ask(model="m", messages=said, stream=stream, parameters=parameters or {}, token_ids=ids)
