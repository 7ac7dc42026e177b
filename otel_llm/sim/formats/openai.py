"""OpenAI's chat and text completions, and its responses."""

from collections.abc import Mapping
from typing import ClassVar

from otel_llm.sim.formats.format import Format, Json, Question, object_in
from otel_llm.sim.formats.times import llamacpp_times, vllm_times
from otel_llm.sim.truth import Took

__all__ = ["ChatBatch", "ChatCompletions", "Completions", "Responses"]


class Completions(Format):
    """Text completions."""

    prompt = "prompt"
    limits = ("max_completion_tokens", "max_tokens")
    marker = True
    _prefix: ClassVar[str] = "cmpl-"
    _kinds: ClassVar[tuple[str, str]] = ("text_completion", "text_completion")

    def __init__(self, question: Question, request_id: str, created: int) -> None:
        super().__init__(question, request_id, created)
        self._every = question.every or self.behaviour.usage == "every"
        self.counts = self._every  # of this answer, as its request wants it
        kind = self._kinds[question.stream]
        self._head = {"id": self._prefix + request_id, "object": kind, "created": created, "model": question.model}
        self._head |= self._pad
        self._pad = {}

    @classmethod
    def usage_asked(cls, fields: Json) -> tuple[bool, bool]:
        options = object_in(fields, "stream_options")
        return bool(options.get("include_usage")), bool(options.get("continuous_usage_stats"))

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        choice = {"index": 0, **self._said(text, thought=thought), "logprobs": None, "finish_reason": finish}
        return [{**self._head, "choices": [choice], **(self._usage(so_far) if self._every else {})}]

    def _said(self, text: str, *, thought: bool) -> Json:
        return {"text": text}

    def _usage(self, tokens: int) -> Json:
        prompt, completion = self.prompt_tokens, self.count(tokens)
        usage: Json = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
        if self.behaviour.cache_block:
            usage["prompt_tokens_details"] = {"cached_tokens": self.question.cached_tokens}
        if thoughts := min(self.behaviour.reasoning, tokens):
            usage["completion_tokens_details"] = {"reasoning_tokens": thoughts}
        return {"usage": usage}

    def closing(self, tokens: int, finish: str) -> list[Json]:
        usage = self.behaviour.usage
        asked = usage in ("always", "lying") or (usage == "auto" and self.question.usage) or self._every
        return [{**self._head, "choices": [], **self._usage(tokens), **self.times()}] if asked else []

    def own_times(self, took: Took) -> Json:
        return (vllm_times if self.behaviour.times == "vllm" else llamacpp_times)(took, self.question.tokens)

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        choice = {"index": 0, **self._whole(text, thought), "logprobs": None, "finish_reason": finish}
        return {**self._head, "choices": [choice], **(self._usage(tokens) if self.states_usage else {})}

    def _whole(self, text: str, thought: str) -> Json:
        return {"text": thought + text}


class ChatCompletions(Completions):
    """Chat completions: a chunk with the role alone opens the stream."""

    prompt = "messages"
    _prefix = "chatcmpl-"
    _kinds = ("chat.completion", "chat.completion.chunk")

    def opening(self) -> list[Json]:
        if not self.behaviour.role:
            return []
        first = {"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
        empty = self.piece("", thought=False, so_far=0, finish=None)
        return [{**self._head, "choices": [first]}, *empty * self.behaviour.empty]

    def _said(self, text: str, *, thought: bool) -> Json:
        return {"delta": {self.behaviour.reasoning_field if thought else "content": text}}

    def _whole(self, text: str, thought: str) -> Json:
        thoughts = {self.behaviour.reasoning_field: thought} if thought else {}
        return {"message": {"role": "assistant", "content": text, **thoughts}}


class ChatBatch(ChatCompletions):
    """Many conversations at once, as vLLM has them: a whole answer with a choice for each, and one usage."""

    @classmethod
    def streams(cls, fields: Json, path: str, headers: Mapping[str, str]) -> bool:
        return False

    @property
    def answers(self) -> int:
        return self.question.inputs

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        whole = self._whole(text, thought)
        choices = [{"index": i, **whole, "finish_reason": finish} for i in range(self.answers)]
        return {**self._head, "choices": choices, **(self._usage(tokens * self.answers) if self.states_usage else {})}


class Responses(Format):
    """Responses: typed events around the text; what opens and closes an item is left to one item of text."""

    prompt = "input"
    limits = ("max_output_tokens",)
    named = True
    reasons: ClassVar[Mapping[str, str]] = {"stop": "completed", "length": "incomplete"}

    def opening(self) -> list[Json]:
        item = {"type": "message", "id": "msg_0", "status": "in_progress", "role": "assistant", "content": []}
        part = {"type": "output_text", "text": "", "annotations": []}
        return [
            {"type": "response.created", "sequence_number": 0, "response": self._response("in_progress", [])},
            {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item},
            {"type": "response.content_part.added", "sequence_number": 2, **self._place(), "part": part},
        ]

    def _place(self) -> Json:
        return {"item_id": "msg_0", "output_index": 0, "content_index": 0}

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        kind = "response.reasoning_text.delta" if thought else "response.output_text.delta"
        return [{"type": kind, "sequence_number": 3, **self._place(), "delta": text, "logprobs": []}]

    def closing(self, tokens: int, finish: str) -> list[Json]:
        text = self.behaviour.text * (tokens - min(self.behaviour.reasoning, tokens))
        done = {"type": f"response.{finish}", "sequence_number": 4}
        return [{**done, "response": self.body(text, "", tokens, finish) | self.times()}]

    def own_times(self, took: Took) -> Json:
        return vllm_times(took, self.question.tokens)

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        part = {"type": "output_text", "text": text, "annotations": []}
        item = {"type": "message", "id": "msg_0", "status": "completed", "role": "assistant", "content": [part]}
        response = self._response(finish, [item])
        if finish == "incomplete":
            response["incomplete_details"] = {"reason": "max_output_tokens"}
        if self.states_usage:
            completion = self.count(tokens)
            response["usage"] = {
                "input_tokens": self.prompt_tokens,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": completion,
                "output_tokens_details": {"reasoning_tokens": min(self.behaviour.reasoning, tokens)},
                "total_tokens": self.prompt_tokens + completion,
            }
        return response

    def _response(self, status: str, output: list[Json]) -> Json:
        return {
            "id": f"resp_{self.request_id}",
            "object": "response",
            "created_at": self.created,
            "status": status,
            "model": self.question.model,
            "output": output,
            "error": None,
            "incomplete_details": None,
            "usage": None,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }

    def failure(self, message: str) -> Json:
        return {"type": "error", "sequence_number": 4, "code": "server_error", "message": message, "param": None}
