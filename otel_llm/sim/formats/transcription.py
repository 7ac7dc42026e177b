"""Transcription: a recording comes as a form, its words go out like those of any answer."""

from collections.abc import Mapping
from email.parser import BytesParser
from typing import Any, Final

from otel_llm.sim.formats.format import Format, Json
from otel_llm.wire.sound import Sound

__all__ = ["Transcription", "form_in"]

_TOKENS_PER_S: Final = 10


def form_in(content_type: str, body: bytes) -> Json:
    """Return the members of a form: texts, and files as bytes."""
    message = BytesParser().parsebytes(b"Content-Type: %b\r\n\r\n%b" % (content_type.encode("latin-1"), body))
    parts: Any = message.get_payload() if message.is_multipart() else ()
    return {str(part.get_param("name", header="content-disposition")): _content(part) for part in parts}


def _content(part: Any) -> str | bytes:
    content: bytes = part.get_payload(decode=True)
    return content if part.get_filename() else content.decode("utf-8", "replace")


class Transcription(Format):
    """`/v1/audio/transcriptions`, as JSON or in events. The recording is ten tokens a second."""

    prompt = "file"
    limits = ()

    @classmethod
    def streams(cls, fields: Json, path: str, headers: Mapping[str, str]) -> bool:
        return fields.get("stream") in ("true", True)

    @classmethod
    def prompt_length(cls, fields: Json) -> int:
        sound, recording = Sound(), fields.get("file")
        if isinstance(recording, bytes):
            sound.add(recording)
        return round((sound.seconds or 0) * _TOKENS_PER_S)

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        return [{"type": "transcript.text.delta", "delta": text, "logprobs": []}]

    def closing(self, tokens: int, finish: str) -> list[Json]:
        return [{"type": "transcript.text.done", **self.body(self.behaviour.text * tokens, "", tokens, finish)}]

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        return {"text": thought + text, **({"usage": self._usage(tokens)} if self.states_usage else {})}

    def _usage(self, tokens: int) -> Json:
        said = self.count(tokens)
        return {
            "type": "tokens",
            "input_tokens": self.prompt_tokens,
            "input_token_details": {"text_tokens": 0, "audio_tokens": self.prompt_tokens},
            "output_tokens": said,
            "total_tokens": self.prompt_tokens + said,
        }
