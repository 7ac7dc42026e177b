"""OpenAI's speech: a text in, sound out, as bytes of a recording that come while it is made, or as events with them.

Source: the reference of the API and openai 3.57, read in 2026. No token is told of and none is counted: an answer has
the time to its first sound, its length and its real-time factor. WAV is asked for unless another format is, since of
compressed ones the length does not follow from the bytes.
"""

from base64 import b64decode

import msgspec

from otel_llm.record import AUDIO, OTHER, PADDING
from otel_llm.wire.openai_json import VERSIONS, error_of
from otel_llm.wire.protocol import NOTHING, Ask, Delta, Protocol, WireRequest, json_body
from otel_llm.wire.sound import Sound

__all__ = ["OpenAISpeech"]

_VOICE = "alloy"


class _Event(msgspec.Struct, gc=False):
    type: str | None = None
    audio: str | None = None
    error: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Event).decode


class OpenAISpeech(Protocol):
    """`POST …/audio/speech`. The last message is what is said; `--parameters voice=coral response_format=pcm`."""

    name = "openai_speech"
    paths = ("/audio/speech",)
    versions = VERSIONS
    framing = "bytes"
    operation = "generate_content"
    provider = "openai"
    accept = "*/*"
    finishes = keeps = False

    __slots__ = ("_in_events", "_sound")

    def __init__(self) -> None:
        super().__init__()
        self._sound = Sound()
        self._in_events: bool | None = None  # bytes in the middle of sound may look like anything

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        body = {"model": ask.model, "input": ask.prompt, "voice": _VOICE, "response_format": "wav"}
        return WireRequest(json_body(body, ask.parameters))

    def decode(self, event: bytes) -> Delta | None:
        if not event:
            raise ValueError("expected sound, got nothing")
        if self._in_events is None:
            self._in_events = event.startswith(b"{")
        if not self._in_events:
            return self._heard(event)
        chunk = _decode(event)
        if chunk.type == "speech.audio.done":
            self.done = True
            return OTHER, "", 0
        if chunk.audio:
            return self._heard(b64decode(chunk.audio))
        if (error := error_of(chunk.error)) is not None:
            self.said.error = error
            return OTHER, "", 0
        return NOTHING

    def _heard(self, piece: bytes) -> Delta:
        brought = self._sound.add(piece)
        self.said.audio_s = self._sound.seconds
        return (AUDIO if brought else PADDING), "", 0
