"""vLLM's `/v1/realtime` by WebSocket: a recording in, its text out as it is understood.

Source: vllm/entrypoints/speech_to_text/realtime of vLLM 0.32, and the client of vLLM's examples, read in 2026. It bears
the name of OpenAI's API and has other messages. A recording is sent at once, not at the pace at which it was spoken.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from otel_llm.errors import ConfigError
from otel_llm.record import OTHER
from otel_llm.wire.liberal import read
from otel_llm.wire.messages import SocketProtocol
from otel_llm.wire.openai_json import VERSIONS
from otel_llm.wire.protocol import NOTHING, Ask, Delta, Media, WireRequest, json_body, text
from otel_llm.wire.sound import pcm_of

__all__ = ["VllmRealtime"]

_DONE: Final = "done"
"""The finish reason of a transcription that says that it is over, and no more."""


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Event(msgspec.Struct, gc=False):
    type: str
    delta: str | None = None
    error: str | None = None
    code: str | None = None
    usage: _Usage | None = None


class _Body(msgspec.Struct):
    audio: str


_decode = msgspec.json.Decoder(_Event).decode
_sound_of = msgspec.json.Decoder(_Body).decode


class VllmRealtime(SocketProtocol):
    """A request is a session's settings, the recording in pieces of a second, and that this was all of it."""

    name = "vllm_realtime"
    versions = VERSIONS
    media = ("audio",)
    needs = "audio"
    samples_per_s = 16_000
    operation = "generate_content"
    carriers = ("websocket",)

    __slots__ = ()

    @classmethod
    def path(cls, model: str, *, stream: bool) -> str:
        return "/v1/realtime"

    @classmethod
    def with_media(cls, text: str, media: Sequence[Media]) -> Mapping[str, Any]:
        (sound,) = media
        return {"audio": b64encode(pcm_of(sound.data, cls.samples_per_s)).decode()}

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        if (sound := ask.messages[-1].get("audio")) is None:
            raise ConfigError(f"a recording for {cls.name}", "none", "give --audio 5s, or a file or folder")
        body = {"model": ask.model, "audio": sound, **({"prompt": ask.prompt} if ask.prompt else {})}
        return WireRequest(json_body(body, ask.parameters))

    @classmethod
    def messages(cls, body: bytes) -> Sequence[bytes]:
        settings = msgspec.json.decode(body)
        sound, second = b64decode(settings.pop("audio", "")), 2 * cls.samples_per_s
        pieces = (b64encode(sound[at : at + second]).decode() for at in range(0, len(sound), second))
        said = [
            {"type": "session.update", **settings},
            {"type": "input_audio_buffer.commit"},  # begin; what was sent before it is heard as well
            *({"type": "input_audio_buffer.append", "audio": piece} for piece in pieces),
            {"type": "input_audio_buffer.commit", "final": True},
        ]
        return [msgspec.json.encode(message) for message in said]

    @classmethod
    def sound_asked(cls, body: bytes) -> float | None:
        try:
            sound = _sound_of(body).audio
        except msgspec.MsgspecError:  # a body of a user's own
            return None
        return (len(sound) * 3 // 4 - sound.count("=", -2)) / (2 * cls.samples_per_s)

    def decode(self, event: bytes) -> Delta | None:
        said = self.said
        try:
            chunk = _decode(event)
        except ValueError:
            chunk = read(event, _Event, said)
        if chunk.type == "transcription.delta":
            return text(chunk.delta or "")
        if chunk.type == "transcription.done":
            self.done = True
            said.finish(_DONE)
            if chunk.usage is not None:
                said.input_tokens, said.output_tokens = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
            return (OTHER, "", 0) if chunk.usage else NOTHING
        if chunk.type == "error":
            said.error = said.error or (chunk.code or "error", chunk.error or "")  # what follows comes of the first
            return OTHER, "", 0
        return None  # of the session
