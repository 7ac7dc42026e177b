"""DashScope's own generation protocol (Qwen): `output` and running `usage` in every event.

Source: the API reference of Model Studio and the DashScope SDK, read in 2026. Without `incremental_output` each event
repeats all that was said before; what it adds is told by comparing. An error event is one with `code` and `message`.
"""

from typing import Any

import msgspec

from otel_llm.record import OTHER, PADDING, REASONING, TEXT, TOOL
from otel_llm.wire.protocol import Ask, Delta, Protocol, WireRequest, json_body

__all__ = ["DashScope"]

_TOP = frozenset(("input", "model", "parameters", "resources"))


class _Details(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Details | None = None
    prompt_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Part(msgspec.Struct, gc=False):
    text: str | None = None


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | list[_Part] | None = None
    reasoning_content: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message | None = None
    finish_reason: str | None = None


class _Output(msgspec.Struct, gc=False):
    text: str | None = None
    finish_reason: str | None = None
    choices: list[_Choice] | None = None


class _Event(msgspec.Struct, gc=False):
    output: _Output | None = None
    usage: _Usage | None = None
    request_id: str | None = None
    code: str | int | None = None
    message: str | None = None


_decode = msgspec.json.Decoder(_Event).decode


class DashScope(Protocol):
    """`POST …/generation`. Parameters go into the body's `parameters`; the stream is asked for by a header.

    Cumulative texts are recognised by the answer itself: an event that repeats everything before it and adds to it.
    The first event that does not settles that the pieces are increments. A second piece that begins with the whole
    first one ("1", "10") is read as its repetition until then; only its text, not its arrival, is the shorter for it.
    """

    name = "dashscope"
    paths = ("/text-generation/generation", "/multimodal-generation/generation")

    __slots__ = ("_increments", "_so_far")

    def __init__(self) -> None:
        super().__init__()
        self._increments = False
        self._so_far = {TEXT: "", REASONING: "", TOOL: ""}

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        top = {key: value for key, value in ask.parameters.items() if key in _TOP}
        inner: dict[str, Any] = {"result_format": "message"}
        if ask.stream:
            inner["incremental_output"] = True
        inner |= {key: value for key, value in ask.parameters.items() if key not in _TOP}
        body: dict[str, Any] = {
            "model": ask.model,
            "input": {"messages": list(ask.messages)},
            "parameters": {key: value for key, value in inner.items() if value is not None},
        }
        return WireRequest(json_body(body, top), {"X-DashScope-SSE": "enable"} if ask.stream else {})

    def decode(self, event: bytes) -> Delta | None:
        chunk = _decode(event)
        self.said.response_id = chunk.request_id or self.said.response_id
        if chunk.code not in (None, "") and chunk.output is None:
            self.said.error = str(chunk.code), chunk.message or ""
            return OTHER, "", 0
        tokens = self._bill(chunk.usage) if chunk.usage else 0
        kind, content = PADDING, ""
        for brought, words in self._words(chunk.output) if chunk.output else ():
            # of several kinds in one event, text says more than a tool call or reasoning
            if (added := self._added(brought, words, tokens)) and kind != TEXT:
                kind, content = brought, added
        return (kind, content, tokens) if content else (OTHER if chunk.usage else PADDING, "", 0)

    def _words(self, output: _Output) -> list[tuple[int, str]]:
        """Return (kind, words) of an event's output, and note its finish reason ("null" while it runs)."""
        found = [(TEXT, output.text)] if output.text else []
        reason = output.finish_reason
        for choice in output.choices or ():
            reason = choice.finish_reason or reason
            if message := choice.message:
                if message.reasoning_content:
                    found.append((REASONING, message.reasoning_content))
                if message.tool_calls:
                    found.append((TOOL, _calls(message.tool_calls)))
                if content := message.content:
                    found.append((TEXT, content if isinstance(content, str) else _joined(content)))
        if reason and reason != "null":
            self.said.finish_reasons += (reason,)
        return found

    def _added(self, kind: int, words: str, tokens: int) -> str:
        """Return what `words` add to what was said before in this kind."""
        before = self._so_far[kind]
        if not words or self._increments:
            return words
        if not before:
            self._so_far[kind] = words
            return words
        repeats = words.startswith(before) and (len(words) > len(before) or not tokens)
        if repeats:
            self._so_far[kind] = words
            return words[len(before) :]
        self._increments = True
        return words

    def _bill(self, usage: _Usage) -> int:
        """Take the running usage; return the output tokens it adds to the one before."""
        said, before = self.said, self.said.output_tokens or 0
        said.input_tokens, said.output_tokens = usage.input_tokens, usage.output_tokens
        if cache := usage.prompt_tokens_details or usage.input_tokens_details:
            said.cached_tokens = cache.cached_tokens
        if usage.output_tokens_details:
            said.reasoning_tokens = usage.output_tokens_details.reasoning_tokens
        return max((usage.output_tokens or 0) - before, 0)


def _calls(calls: list[_ToolCall]) -> str:
    return "".join((call.function.name or "") + (call.function.arguments or "") for call in calls if call.function)


def _joined(parts: list[_Part]) -> str:
    return "".join(part.text or "" for part in parts)
