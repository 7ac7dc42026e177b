"""OpenAI's Realtime API by WebSocket, in text or in sound: each request is an answer outside of the conversation.

Source: the reference of the API's events and openai 3.57, read in 2026. `conversation: none` makes requests that do
not grow with those before them. The words of an answer in sound are its tokens; the pieces of sound have none.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec

from otel_llm.record import AUDIO, OTHER, TEXT, TOOL
from otel_llm.wire.liberal import read
from otel_llm.wire.messages import SocketProtocol
from otel_llm.wire.openai_json import error_of
from otel_llm.wire.protocol import NOTHING, Ask, Delta, Media, WireRequest, json_body
from otel_llm.wire.sound import PCM_BYTES_PER_S, PCM_SAMPLES_PER_S, pcm_of

__all__ = ["OpenAIRealtime"]

_DELTAS: Final = {
    "response.output_text.delta": TEXT,
    "response.output_audio_transcript.delta": TEXT,
    "response.function_call_arguments.delta": TOOL,
}
_SOUND: Final = "response.output_audio.delta"
_LOGARITHMIC: Final = ("audio/pcmu", "audio/pcma")
_LOGARITHMIC_BYTES_PER_S: Final = 8_000
_CANCELLED: Final = "cancelled"
_FAILED: Final = ("failed", _CANCELLED)
_PARTS: Final = {"user": "input_text", "system": "input_text", "assistant": "output_text"}


class _Details(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    text_tokens: int | None = None
    audio_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: _Details | None = None
    output_token_details: _Details | None = None


class _StatusDetails(msgspec.Struct, gc=False):
    reason: str | None = None
    error: msgspec.Raw = msgspec.Raw()


class _Format(msgspec.Struct, gc=False):
    type: str | None = None


class _Output(msgspec.Struct, gc=False):
    format: _Format | None = None


class _Audio(msgspec.Struct, gc=False):
    output: _Output | None = None


class _Response(msgspec.Struct, gc=False):
    id: str | None = None
    status: str | None = None
    status_details: _StatusDetails | None = None
    usage: _Usage | None = None
    audio: _Audio | None = None


class _Item(msgspec.Struct, gc=False):
    name: str | None = None


class _Event(msgspec.Struct, gc=False):
    type: str
    delta: object = None  # of an event kind we do not know it may be anything
    item: _Item | None = None
    response: _Response | None = None
    error: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Event).decode


class OpenAIRealtime(SocketProtocol):
    """`/v1/realtime`. Parameters are those of a `response.create`; `output_modalities=["audio"]` asks for sound."""

    name = "openai_realtime"
    paths = ("/realtime",)
    media = ("image", "audio")
    provider = "openai"
    conversations = True
    carriers = ("websocket",)
    stops = True

    __slots__ = ("_bytes_per_s", "_stopping")

    def __init__(self) -> None:
        super().__init__()
        self._bytes_per_s = PCM_BYTES_PER_S
        self._stopping = False

    @classmethod
    def path(cls, model: str, *, stream: bool) -> str:
        return f"/realtime?model={quote(model, safe='')}"

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        asked = {"conversation": "none", "output_modalities": ["text"], "input": [_item(each) for each in ask.messages]}
        response = msgspec.Raw(json_body(asked, ask.parameters))
        return WireRequest(msgspec.json.encode({"type": "response.create", "response": response}))

    @classmethod
    def with_media(cls, text: str, media: Sequence[Media]) -> Mapping[str, Any]:
        return {"content": [{"type": "input_text", "text": text}, *map(_part, media)]}

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return {"max_output_tokens": tokens}

    @classmethod
    def messages(cls, body: bytes) -> Sequence[bytes]:
        return (body,)

    def stopping(self) -> bytes | None:
        """Return a `response.cancel`. It names the answer: without, it means one of the conversation."""
        if (answer := self.said.response_id) is None:
            return None
        self._stopping = True
        return msgspec.json.encode({"type": "response.cancel", "response_id": answer})

    def decode(self, event: bytes) -> Delta | None:
        try:
            chunk = _decode(event)
        except ValueError:
            chunk = read(event, _Event, self.said)
        kind = chunk.type
        if kind in _DELTAS:
            return (_DELTAS[kind], chunk.delta, 0) if isinstance(chunk.delta, str) and chunk.delta else NOTHING
        if kind == _SOUND:
            return self._sound(chunk.delta)
        if kind == "error":
            self.said.error = error_of(chunk.error) or ("error", "")
            return OTHER, "", 0
        if kind == "response.output_item.added" and chunk.item and chunk.item.name:
            return TOOL, chunk.item.name, 0
        if chunk.response is None:  # of the session, or of another answer
            return NOTHING if kind.startswith("response.") else None
        self._take(chunk.response, last=kind == "response.done")
        return (OTHER, "", 0) if chunk.response.usage else NOTHING

    def _sound(self, delta: object) -> Delta:
        if not isinstance(delta, str) or not delta:
            return NOTHING
        size = len(delta) * 3 // 4 - delta.count("=", -2)
        self.said.audio_s = (self.said.audio_s or 0.0) + size / self._bytes_per_s
        return AUDIO, "", 0

    def _take(self, response: _Response, *, last: bool) -> None:
        """Note what the answer states about itself."""
        said = self.said
        said.response_id = response.id or said.response_id
        output = response.audio.output if response.audio else None
        if output and output.format and output.format.type in _LOGARITHMIC:
            self._bytes_per_s = _LOGARITHMIC_BYTES_PER_S
        if usage := response.usage:
            said.input_tokens, said.output_tokens = usage.input_tokens, _tokens_of_words(usage)
            if usage.input_token_details:
                said.cached_tokens = usage.input_token_details.cached_tokens
        if last:
            self.done = True
            details = response.status_details or _StatusDetails()
            self.stopped = self._stopping and response.status == _CANCELLED
            if response.status in _FAILED and not self.stopped:
                said.error = error_of(details.error) or (response.status or "", details.reason or "")
            else:
                said.finish(details.reason or response.status or "completed")


def _tokens_of_words(usage: _Usage) -> int | None:
    """Return the output tokens without those of sound."""
    details = usage.output_token_details
    return details.text_tokens if details and details.audio_tokens else usage.output_tokens


def _item(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message as an item of the conversation: its content a text, or parts in the API's own form."""
    role, content = message["role"], message["content"]
    if isinstance(content, str):
        content = [{"type": _PARTS.get(role, "input_text"), "text": content}]
    return {"type": "message", "role": role, "content": content}


def _part(media: Media) -> Mapping[str, Any]:
    if media.kind == "image":
        return {"type": "input_image", "image_url": media.url}
    return {"type": "input_audio", "audio": b64encode(pcm_of(media.data, PCM_SAMPLES_PER_S)).decode()}
