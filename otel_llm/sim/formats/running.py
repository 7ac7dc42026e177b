"""Gemini and DashScope: each event a response of its own, with the usage so far."""

from collections.abc import Mapping
from typing import ClassVar

from otel_llm.sim.formats.format import Format, Json

__all__ = ["DashScope", "Gemini"]


class Gemini(Format):
    """`streamGenerateContent`. Thoughts are parts that say so, and are counted apart."""

    prompt = "contents"
    limits = ("generationConfig.maxOutputTokens",)
    reasons: ClassVar[dict[str, str]] = {"stop": "STOP", "length": "MAX_TOKENS"}
    counts = True

    @classmethod
    def model(cls, fields: Json, path: str) -> str:
        return path.rpartition("/")[2].partition(":")[0]

    @classmethod
    def streams(cls, fields: Json, path: str, headers: Mapping[str, str]) -> bool:
        return path.endswith(":streamGenerateContent")

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        return [self._response([{"text": text, **({"thought": True} if thought else {})}], so_far, finish)]

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        thoughts = [{"text": thought, "thought": True}] if thought else []
        return self._response([*thoughts, {"text": text}], tokens, finish)

    def _response(self, parts: list[Json], tokens: int, finish: str | None) -> Json:
        ended = {"finishReason": finish} if finish else {}
        candidate = {"content": {"parts": parts, "role": "model"}, "index": 0, **ended}
        usage = {"usageMetadata": self._usage(tokens)} if self.states_usage else {}
        named = {"modelVersion": self.question.model, "responseId": self.request_id}
        return {"candidates": [candidate], **usage, **named}

    def _usage(self, tokens: int) -> Json:
        thoughts = min(self.behaviour.reasoning, tokens)
        said = self.count(tokens)
        apart = {"thoughtsTokenCount": thoughts} if thoughts else {}
        return {
            "promptTokenCount": self.prompt_tokens,
            "candidatesTokenCount": said - thoughts,
            "totalTokenCount": self.prompt_tokens + said,
            **apart,
        }

    def failure(self, message: str) -> Json:
        return {"error": {"code": 500, "message": message, "status": "INTERNAL"}}


class DashScope(Format):
    """Generation of Qwen's models, in increments."""

    prompt = "input"
    limits = ("parameters.max_tokens",)
    counts = True

    @classmethod
    def streams(cls, fields: Json, path: str, headers: Mapping[str, str]) -> bool:
        return headers.get("x-dashscope-sse") == "enable"

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        said = {"content": "", "reasoning_content": text} if thought else {"content": text}
        return [self._event(said, so_far, finish or "null")]

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        return self._event({"content": text, **({"reasoning_content": thought} if thought else {})}, tokens, finish)

    def _event(self, said: Json, tokens: int, finish: str) -> Json:
        choice = {"message": {"role": "assistant", **said}, "finish_reason": finish}
        completion = self.count(tokens)
        usage = {
            "input_tokens": self.prompt_tokens,
            "output_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
        }
        billed = {"usage": usage} if self.states_usage else {}
        return {"output": {"choices": [choice]}, **billed, "request_id": self.request_id}

    def failure(self, message: str) -> Json:
        return {"code": "InternalError", "message": message, "request_id": self.request_id}
