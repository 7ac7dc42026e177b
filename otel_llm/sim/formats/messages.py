"""Anthropic's messages and Cohere's chat: typed events that open, grow and close blocks of content."""

from typing import ClassVar

from otel_llm.sim.formats.format import Format, Json

__all__ = ["AnthropicMessages", "CohereChat"]


class AnthropicMessages(Format):
    """Messages. Thinking is a block before that of the text."""

    named = True
    reasons: ClassVar[dict[str, str]] = {"stop": "end_turn", "length": "max_tokens"}

    def opening(self) -> list[Json]:
        message = self._message([], None, 0)
        return [{"type": "message_start", "message": message}, self._start(thought=self.behaviour.reasoning > 0)]

    def _start(self, *, thought: bool) -> Json:
        block = {"type": "thinking", "thinking": "", "signature": ""} if thought else {"type": "text", "text": ""}
        return {"type": "content_block_start", "index": self._index(thought=thought), "content_block": block}

    def _index(self, *, thought: bool) -> int:
        return int(self.behaviour.reasoning > 0 and not thought)

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        kind, index = "thinking" if thought else "text", self._index(thought=thought)
        events: list[Json] = [
            {"type": "content_block_delta", "index": index, "delta": {"type": f"{kind}_delta", kind: text}}
        ]
        if thought and so_far >= min(self.behaviour.reasoning, self.question.tokens):
            events.append({"type": "content_block_stop", "index": index})
            if finish is None:
                events.append(self._start(thought=False))
        return events

    def text(self, tokens: int, so_far: int, *, thought: bool, finish: str | None = None) -> tuple[bytes, int]:
        self.counts = thought  # the last of the thoughts is unlike those before it
        return super().text(tokens, so_far, thought=thought, finish=finish)

    def closing(self, tokens: int, finish: str) -> list[Json]:
        only_thoughts = 0 < self.behaviour.reasoning >= tokens
        stop = [] if only_thoughts else [{"type": "content_block_stop", "index": self._index(thought=False)}]
        delta = {"stop_reason": finish, "stop_sequence": None}
        usage = {"usage": {"output_tokens": self.count(tokens)}} if self.states_usage else {}
        return [*stop, {"type": "message_delta", "delta": delta, **usage}, {"type": "message_stop"}]

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        thoughts = [{"type": "thinking", "thinking": thought, "signature": ""}] if thought else []
        return self._message([*thoughts, {"type": "text", "text": text}], finish, self.count(tokens))

    def _message(self, content: list[Json], finish: str | None, tokens: int) -> Json:
        usage = {"usage": {"input_tokens": self.prompt_tokens, "output_tokens": tokens}} if self.states_usage else {}
        return {
            "id": f"msg_{self.request_id}",
            "type": "message",
            "role": "assistant",
            "model": self.question.model,
            "content": content,
            "stop_reason": finish,
            "stop_sequence": None,
            **usage,
        }

    def failure(self, message: str) -> Json:
        return {"type": "error", "error": {"type": "api_error", "message": message}}


class CohereChat(Format):
    """Chat of version 2. Thinking is a kind of content."""

    named = marker = True
    reasons: ClassVar[dict[str, str]] = {"stop": "COMPLETE", "length": "MAX_TOKENS"}

    def opening(self) -> list[Json]:
        message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        content = {"message": {"content": {"type": "text", "text": ""}}}
        return [
            {"type": "message-start", "id": self.request_id, "delta": {"message": message}},
            {"type": "content-start", "index": 0, "delta": content},
        ]

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        content = {"thinking" if thought else "text": text}
        return [{"type": "content-delta", "index": 0, "delta": {"message": {"content": content}}}]

    def closing(self, tokens: int, finish: str) -> list[Json]:
        delta = {"finish_reason": finish, **self._usage(tokens)}
        return [{"type": "content-end", "index": 0}, {"type": "message-end", "id": self.request_id, "delta": delta}]

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        thoughts = [{"type": "thinking", "thinking": thought}] if thought else []
        message = {"role": "assistant", "content": [*thoughts, {"type": "text", "text": text}]}
        return {"id": self.request_id, "finish_reason": finish, "message": message, **self._usage(tokens)}

    def _usage(self, tokens: int) -> Json:
        units = {"input_tokens": self.prompt_tokens, "output_tokens": self.count(tokens)}
        return {"usage": {"billed_units": units, "tokens": units}} if self.states_usage else {}

    def failure(self, message: str) -> Json:
        delta = {"finish_reason": "ERROR", "error": message}
        return {"type": "message-end", "id": self.request_id, "delta": delta}
