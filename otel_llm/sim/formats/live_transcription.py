"""vLLM's transcription by WebSocket: what follows a recording, in messages of its own."""

from typing import Final

from otel_llm.sim.formats.by_socket import BySocket
from otel_llm.sim.formats.format import Format, Json

__all__ = ["LiveTranscription"]

_SAMPLE_BYTES: Final = 2
_SAMPLES_A_TOKEN: Final = 1_600


class LiveTranscription(BySocket, Format):
    """`/v1/realtime` of vLLM. The recording is ten tokens a second."""

    prompt = "audio_bytes"
    limits = ()

    @classmethod
    def prompt_length(cls, fields: Json) -> int:
        return round(int(fields.get("audio_bytes") or 0) / _SAMPLE_BYTES / _SAMPLES_A_TOKEN)

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        return [{"type": "transcription.delta", "delta": text}]

    def closing(self, tokens: int, finish: str) -> list[Json]:
        said = self.count(tokens)
        usage = {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": said,
            "total_tokens": self.prompt_tokens + said,
        }
        whole = {"type": "transcription.done", "text": self.behaviour.text * tokens}
        return [{**whole, "usage": usage if self.states_usage else None}]

    def failure(self, message: str) -> Json:
        return self.refusal(message, "processing_error", 500)

    @classmethod
    def refusal(cls, message: str, kind: str, status: int) -> Json:
        return {"type": "error", "error": message, "code": kind}
