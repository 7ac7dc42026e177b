"""OpenAI's transcription: a recording in, uploaded as a form, and its text out, as it is understood or in one piece.

Source: the reference of the API and openai 3.57; vLLM 0.32, whose events look like those of a chat; read in 2026. The
real-time factor is the request's latency divided by the length of the recording, as a WAV itself states it, or else as
the answer does: exactly as `duration`, or as `usage.seconds`, which is rounded up.
"""

import wave
from base64 import b64decode
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, Final

import msgspec
import orjson

from otel_llm.errors import ConfigError
from otel_llm.record import OTHER
from otel_llm.wire.openai_json import VERSIONS, error_of, read_or_end
from otel_llm.wire.protocol import NOTHING, Ask, Delta, Media, Protocol, WireRequest, json_body, text

__all__ = ["OpenAITranscription"]

_BOUNDARY: Final = "otel-llm-4f1d1b7a9c3e4f6a8d2b"
_DONE: Final = "done"
"""The finish reason of a transcription that says that it is over, and no more."""


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Event(msgspec.Struct, gc=False):
    type: str | None = None
    delta: str | None = None
    text: str | None = None
    duration: float | None = None
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: msgspec.Raw = msgspec.Raw()


class _File(msgspec.Struct):
    name: str
    media_type: str
    data: str
    seconds: float | None = None


class _Body(msgspec.Struct):
    file: _File


_decode = msgspec.json.Decoder(_Event).decode
_sound_of = msgspec.json.Decoder(_Body).decode


class OpenAITranscription(Protocol):
    """`POST …/audio/transcriptions`. `--audio` is what is transcribed; a prompt that is not empty goes with it.

    A body is JSON, as of all protocols, and goes out as a form. `response_format` may be one of JSON.
    """

    name = "openai_transcription"
    paths = ("/audio/transcriptions",)
    versions = VERSIONS
    media = ("audio",)
    needs = "audio"
    operation = "generate_content"
    provider = "openai"
    accept = "*/*"

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        super().__init__()
        self._ends: tuple[str, ...] = ()
        """Finish reasons of the pieces of 30 s that vLLM cuts a recording into: only its end marker ends the answer."""

    @classmethod
    def with_media(cls, text: str, media: Sequence[Media]) -> Mapping[str, Any]:
        (sound,) = media
        form = {"name": f"audio.{sound.format}", "media_type": sound.media_type, "data": sound.data}
        return {"file": form | {"seconds": _seconds(sound)}}

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        if (file := ask.messages[-1].get("file")) is None:
            raise ConfigError(f"a recording for {cls.name}", "none", "give --audio 5s, or a file or folder")
        body = {"model": ask.model, "file": file, "prompt": ask.prompt, "stream": ask.stream}
        own = {name: value for name, value in body.items() if value not in ("", False)}
        return WireRequest(
            json_body(own, ask.parameters), {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
        )

    @classmethod
    def as_sent(cls, body: bytes) -> bytes:
        """Return the form: a part for each member, a list in as many as it has, and the recording as it is."""
        fields = orjson.loads(body)
        file = fields.pop("file")
        parts = [
            _part(f'form-data; name="{name}{"[]" if isinstance(value, list) else ""}"', _as_text(each))
            for name, value in fields.items()
            for each in (value if isinstance(value, list) else [value])
        ]
        disposition = f'form-data; name="file"; filename="{file["name"]}"\r\nContent-Type: {file["media_type"]}'
        parts.append(_part(disposition, b64decode(file["data"])))
        return b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()

    @classmethod
    def sound_asked(cls, body: bytes) -> float | None:
        try:
            return _sound_of(body).file.seconds
        except msgspec.MsgspecError:  # a body of a user's own
            return None

    def decode(self, event: bytes) -> Delta | None:
        said = self.said
        try:
            chunk = _decode(event)
        except ValueError:
            if (found := read_or_end(event, _Event, self)) is None:
                for reason in self._ends if said.error is None else ():
                    said.finish(reason)
                return None
            chunk = found
        said.response_id, said.response_model = chunk.id or said.response_id, chunk.model or said.response_model
        self._take(chunk.usage or _Usage(), chunk.duration)
        if (error := error_of(chunk.error)) is not None:
            said.error = error
            return OTHER, "", 0
        if chunk.choices:
            return self._of_chat(chunk.choices[0])
        if chunk.type == "transcript.text.delta":
            return text(chunk.delta or "")
        if chunk.type == "transcript.text.done":
            self.done = True
            said.finish(_DONE)
            return OTHER, "", 0
        if chunk.type is None and chunk.text is not None:  # in one piece
            said.finish(_DONE)
            return text(chunk.text)
        return (OTHER, "", 0) if chunk.usage else NOTHING

    def _of_chat(self, choice: _Choice) -> Delta:
        if choice.finish_reason:
            self._ends += (choice.finish_reason,)
        return text((choice.delta and choice.delta.content) or "")

    def _take(self, usage: _Usage, duration: float | None) -> None:
        said = self.said
        said.input_tokens = usage.input_tokens or usage.prompt_tokens or said.input_tokens
        said.output_tokens = usage.output_tokens or usage.completion_tokens or said.output_tokens
        said.audio_s = duration or usage.seconds or said.audio_s


def _seconds(sound: Media) -> float | None:
    """Return the length of a WAV; None for what does not say it."""
    try:
        with wave.open(BytesIO(b64decode(sound.data))) as file:
            return float(round(file.getnframes() / file.getframerate(), 6))
    except (wave.Error, EOFError, ZeroDivisionError):
        return None


def _part(disposition: str, content: bytes) -> bytes:
    return f"--{_BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"


def _as_text(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else orjson.dumps(value)
