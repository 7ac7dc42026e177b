"""OpenAI's Realtime: an answer in words, or in sound with the words that are said."""

from base64 import b64encode
from collections.abc import Mapping
from typing import ClassVar, Final

from otel_llm.sim.formats.by_socket import BySocket
from otel_llm.sim.formats.format import Format, Json
from otel_llm.sim.formats.speech import SOUND_OF_A_TOKEN

__all__ = ["Realtime"]

_STOPPED: Final = "cancelled"
_DETAILS: Final = {"incomplete": "max_output_tokens", _STOPPED: "client_cancelled"}
_SAID: Final = b64encode(SOUND_OF_A_TOKEN).decode()


class Realtime(BySocket, Format):
    """What follows a `response.create`. Of sound, each token is 40 ms, and as many tokens of sound as of words."""

    prompt = "input"
    limits = ("max_output_tokens",)
    reasons: ClassVar[Mapping[str, str]] = {"stop": "completed", "length": "incomplete"}

    @property
    def _aloud(self) -> bool:
        return self.question.sound

    def opening(self) -> list[Json]:
        part = {"type": "audio", "transcript": ""} if self._aloud else {"type": "text", "text": ""}
        return [
            self._event("response.created", response=self._response("in_progress", [])),
            self._event("response.output_item.added", output_index=0, item=self._item("in_progress", [])),
            self._event("response.content_part.added", **self._place(), part=part),
        ]

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        if not self._aloud:
            return [self._event("response.output_text.delta", **self._place(), delta=text)]
        sound = _SAID * (text.count(self.behaviour.text) or 1)
        return [
            self._event("response.output_audio_transcript.delta", **self._place(), delta=text),
            self._event("response.output_audio.delta", **self._place(), delta=sound),
        ]

    def closing(self, tokens: int, finish: str) -> list[Json]:
        text = self.behaviour.text * tokens
        part = {"type": "output_audio", "transcript": text} if self._aloud else {"type": "output_text", "text": text}
        response = self._response(finish, [self._item(finish, [part])])
        if finish in _DETAILS:
            response["status_details"] = {"type": finish, "reason": _DETAILS[finish]}
        if self.states_usage:
            response["usage"] = self._usage(tokens)
        return [self._event("response.done", response=response), {"type": "rate_limits.updated", "rate_limits": []}]

    def stopped(self, tokens: int) -> tuple[bytes, int]:
        return self._events(self.closing(tokens, _STOPPED))

    def _usage(self, tokens: int) -> Json:
        words, sound = self.count(tokens), tokens if self._aloud else 0
        return {
            "input_tokens": self.prompt_tokens,
            "input_token_details": {"text_tokens": self.prompt_tokens, "audio_tokens": 0, "cached_tokens": 0},
            "output_tokens": words + sound,
            "output_token_details": {"text_tokens": words, "audio_tokens": sound},
            "total_tokens": self.prompt_tokens + words + sound,
        }

    def _event(self, kind: str, **members: object) -> Json:
        return {"type": kind, "event_id": "event_0", **members}

    def _place(self) -> Json:
        return {"response_id": f"resp_{self.request_id}", "item_id": "item_0", "output_index": 0, "content_index": 0}

    def _item(self, status: str, content: list[Json]) -> Json:
        return {"id": "item_0", "type": "message", "role": "assistant", "status": status, "content": content}

    def _response(self, status: str, output: list[Json]) -> Json:
        return {
            "object": "realtime.response",
            "id": f"resp_{self.request_id}",
            "status": status,
            "status_details": None,
            "output": output,
            "output_modalities": ["audio" if self._aloud else "text"],
            "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy"}},
            "usage": None,
        }

    def failure(self, message: str) -> Json:
        return self.refusal(message, "server_error", 500)

    @classmethod
    def nothing_to_stop(cls) -> Json:
        """Return what is said to a `response.cancel` without an answer to cancel."""
        said = cls.refusal("Cancellation failed: no active response found", "invalid_request_error", 400)
        said["error"]["code"] = "response_cancel_not_active"
        return said

    @classmethod
    def refusal(cls, message: str, kind: str, status: int) -> Json:
        error = {"type": kind, "code": str(status), "message": message, "param": None, "event_id": None}
        return {"type": "error", "event_id": "event_0", "error": error}
