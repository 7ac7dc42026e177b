"""DashScope's own generation protocol (Qwen): `output` and running `usage` in every event.

Source: the API reference of Model Studio and the DashScope SDK, read in 2026. Without `incremental_output` each event
repeats all that was said before; what it adds is told by comparing. An error event is one with `code` and `message`.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from otel_llm.record import OTHER, PADDING, REASONING, TEXT, TOOL
from otel_llm.wire.additions import Additions
from otel_llm.wire.liberal import read
from otel_llm.wire.openai_json import arguments_of
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
    arguments: str | dict[str, Any] | None = None


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | list[_Part] | None = None
    reasoning_content: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int | None = None
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

    Cumulative texts are recognised by the answer itself (`otel_llm.wire.additions`).
    Of several choices each event of a stream brings one, with the usage of that one: the answer's is their sum.
    """

    name = "dashscope"
    paths = ("/text-generation/generation", "/multimodal-generation/generation")
    conversations = True

    __slots__ = ("_added", "_billed")

    def __init__(self) -> None:
        super().__init__()
        self._added = Additions()
        self._billed: dict[int, int] = {}  # output tokens by choice

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

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return {"max_tokens": tokens}

    def decode(self, event: bytes) -> Delta | None:
        try:
            chunk = _decode(event)
        except ValueError:
            chunk = read(event, _Event, self.said)
        self.said.response_id = chunk.request_id or self.said.response_id
        if chunk.code not in (None, "") and chunk.output is None:
            self.said.error = str(chunk.code), chunk.message or ""
            return OTHER, "", 0
        choice = _choice_of(chunk.output)
        tokens = self._bill(chunk.usage, choice) if chunk.usage else 0
        kind, content = PADDING, ""
        for brought, words in self._words(chunk.output) if chunk.output else ():
            # of several kinds in one event, text says more than a tool call or reasoning
            if (added := self._added.of(words, tokens, (choice, brought))) and kind != TEXT:
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
            self.said.finish(reason)
        return found

    def _bill(self, usage: _Usage, choice: int) -> int:
        """Take the running usage of a choice; return the output tokens it adds to the one before."""
        said, before, total = self.said, self._billed.get(choice, 0), usage.output_tokens
        said.input_tokens = usage.input_tokens or said.input_tokens
        if total or (total is not None and choice not in self._billed):
            self._billed[choice] = total
            said.output_tokens = sum(self._billed.values())
        if cache := usage.prompt_tokens_details or usage.input_tokens_details:
            said.cached_tokens = cache.cached_tokens
        if usage.output_tokens_details:
            said.reasoning_tokens = usage.output_tokens_details.reasoning_tokens
        return max((total or 0) - before, 0)


def _choice_of(output: _Output | None) -> int:
    """Return the index of the one choice of an event; 0 where there are several, or none: the usage is of all."""
    choices = output.choices if output is not None else None
    return (choices[0].index or 0) if choices and len(choices) == 1 else 0


def _calls(calls: list[_ToolCall]) -> str:
    functions = [call.function for call in calls if call.function]
    return "".join((function.name or "") + arguments_of(function.arguments) for function in functions)


def _joined(parts: list[_Part]) -> str:
    return "".join(part.text or "" for part in parts)
