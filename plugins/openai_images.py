"""OpenAI's image generation: a text in, an image out, in one piece or with half-done images on the way.

Source: the reference of the API and openai 3.57, read in 2026. An image has a first moment and no tokens that could be
timed: what usage counts as output tokens are those of images, and are not taken.
"""

import msgspec

from otel_llm.record import IMAGE, OTHER
from otel_llm.wire.liberal import read
from otel_llm.wire.openai_json import VERSIONS, error_of
from otel_llm.wire.protocol import NOTHING, Ask, Delta, Protocol, WireRequest, json_body

__all__ = ["OpenAIImages"]

_COMPLETED = "completed"
"""The finish reason of what says that it is over, and no more."""


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None


class _Event(msgspec.Struct, gc=False):
    """The images themselves are skipped, not read."""

    type: str | None = None
    b64_json: msgspec.Raw = msgspec.Raw()
    data: list[msgspec.Raw] | None = None
    usage: _Usage | None = None
    error: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Event).decode


class OpenAIImages(Protocol):
    """`POST …/images/generations`. The prompt is the last message's content; a stream asks for one image on the way."""

    name = "openai_images"
    paths = ("/images/generations",)
    versions = VERSIONS
    operation = "generate_content"
    provider = "openai"
    keeps = False

    __slots__ = ()

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        streamed = {"stream": True, "partial_images": 1} if ask.stream else {}
        return WireRequest(json_body({"model": ask.model, "prompt": ask.prompt, **streamed}, ask.parameters))

    def decode(self, event: bytes) -> Delta | None:
        said = self.said
        try:
            chunk = _decode(event)
        except ValueError:
            chunk = read(event, _Event, said)
        if chunk.usage is not None:
            said.input_tokens = chunk.usage.input_tokens
        if (error := error_of(chunk.error)) is not None:
            said.error = error
            return OTHER, "", 0
        if chunk.type == "image_generation.completed":
            self.done = True
        if self.done or (chunk.type is None and chunk.data):  # the last of a stream, or all in one piece
            said.finish(_COMPLETED)
            return IMAGE, "", 0
        if chunk.type is None:
            said.error = "no_data", "the answer has no image"
            return OTHER, "", 0
        return (IMAGE, "", 0) if chunk.b64_json else NOTHING
