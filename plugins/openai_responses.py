"""OpenAI Responses, as OpenAI and vLLM speak it: every event names its `type`, and the last one holds the whole answer.

Source: the reference of the Responses API and its streaming events, read in 2026. `usage` comes with the last event
and needs no asking for. By WebSocket the same events come, each a message, for each `response.create`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import orjson

from otel_llm.record import OTHER, PADDING, REASONING, TEXT, TOOL
from otel_llm.wire.messages import SocketProtocol
from otel_llm.wire.openai_json import VERSIONS, arguments_of, error_of, read_or_end
from otel_llm.wire.protocol import NOTHING, Ask, Delta, Media, WireRequest, json_body
from otel_llm.wire.server_timings import timings_in

__all__ = ["OpenAIResponses"]

_DELTAS = {
    "response.output_text.delta": TEXT,
    "response.refusal.delta": TEXT,
    "response.audio.transcript.delta": TEXT,
    "response.reasoning_text.delta": REASONING,
    "response.reasoning_summary_text.delta": REASONING,
    "response.function_call_arguments.delta": TOOL,
    "response.custom_tool_call_input.delta": TOOL,
    "response.mcp_call_arguments.delta": TOOL,
    "response.code_interpreter_call_code.delta": TOOL,
    "response.shell_call_command.delta": TOOL,
}
_HTTP_ALONE = frozenset(("stream", "background"))
_LAST = frozenset(("response.completed", "response.incomplete", "response.failed", "response.cancelled"))


class _Details(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Part(msgspec.Struct, gc=False):
    text: str | None = None
    refusal: str | None = None


class _Item(msgspec.Struct, gc=False):
    """A piece of output: a message, reasoning, or a call of a tool."""

    type: str | None = None
    name: str | None = None
    arguments: str | dict[str, Any] | None = None
    input: str | dict[str, Any] | None = None
    content: list[_Part] | None = None
    summary: list[_Part] | None = None


class _Incomplete(msgspec.Struct, gc=False):
    reason: str | None = None


class _Response(msgspec.Struct, gc=False):
    """The answer as a whole: inside the first and last events of a stream, or alone when nothing was streamed."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    output: list[_Item] = []
    usage: _Usage | None = None
    incomplete_details: _Incomplete | None = None
    error: msgspec.Raw = msgspec.Raw()
    metrics: Any = None


class _Event(_Response, gc=False):
    type: str | None = None
    delta: object = None  # of an event kind we do not know it may be anything
    item: _Item | None = None
    response: _Response | None = None
    code: str | int | None = None
    message: str | None = None


_decode = msgspec.json.Decoder(_Event).decode


class OpenAIResponses(SocketProtocol):
    """`POST …/responses`. The finish reason is the answer's `status`, or why it is incomplete."""

    name = "openai_responses"
    paths = ("/responses",)
    versions = VERSIONS
    media = ("image",)
    provider = "openai"
    conversations = True

    __slots__ = ()

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        body = {"model": ask.model, "input": list(ask.messages), "stream": ask.stream}
        return WireRequest(json_body(body, ask.parameters))

    @classmethod
    def with_media(cls, text: str, media: Sequence[Media]) -> Mapping[str, Any]:
        shown = [{"type": "input_image", "image_url": each.url} for each in media]
        return {"content": [{"type": "input_text", "text": text}, *shown]}

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return {"max_output_tokens": tokens}

    @classmethod
    def messages(cls, body: bytes) -> Sequence[bytes]:
        asked = {name: value for name, value in orjson.loads(body).items() if name not in _HTTP_ALONE}
        return (orjson.dumps({"type": "response.create", **asked}),)

    def decode(self, event: bytes) -> Delta | None:
        try:
            chunk = _decode(event)
        except ValueError:
            if (found := read_or_end(event, _Event, self)) is None:
                return None
            chunk = found
        kind = chunk.type
        if kind in _DELTAS:
            return (_DELTAS[kind], chunk.delta, 0) if isinstance(chunk.delta, str) and chunk.delta else NOTHING
        if kind == "response.output_item.added" and chunk.item and chunk.item.name:
            return TOOL, chunk.item.name, 0
        if kind == "error" or (kind is None and not chunk.output and chunk.error):
            self.said.error = error_of(chunk.error) or (str(chunk.code or "error"), chunk.message or "")
            return OTHER, "", 0
        if kind is None:
            return self._whole(chunk)
        if chunk.response is not None:
            self._take(chunk.response, last=kind in _LAST)
            return (OTHER if chunk.response.usage else PADDING), "", 0
        return NOTHING

    def _take(self, response: _Response, *, last: bool) -> None:
        """Note what the answer states about itself."""
        said = self.said
        said.response_model, said.response_id = response.model or said.response_model, response.id or said.response_id
        if usage := response.usage:
            said.input_tokens, said.output_tokens = usage.input_tokens, usage.output_tokens
            if usage.input_tokens_details:
                said.cached_tokens = usage.input_tokens_details.cached_tokens
            if usage.output_tokens_details:
                said.reasoning_tokens = usage.output_tokens_details.reasoning_tokens
        said.error = error_of(response.error) or said.error
        if response.metrics:
            said.server = timings_in(response)
        if last:
            self.done = True
            if response.status in ("failed", "cancelled"):
                said.error = said.error or (response.status, f"the response has status {response.status!r}")
            else:
                why = response.incomplete_details.reason if response.incomplete_details else None
                said.finish(why or response.status or "completed")

    def _whole(self, response: _Response) -> Delta:
        """Take an answer that was not streamed. Of several kinds of output, text says more than reasoning or tools."""
        self._take(response, last=response.status is not None)
        words = {TEXT: "", TOOL: "", REASONING: ""}
        for item in response.output:
            if item.type == "reasoning":
                words[REASONING] += _joined(item.content or item.summary)
            else:
                words[TEXT] += _joined(item.content)
                words[TOOL] += (item.name or "") + arguments_of(item.arguments or item.input)
        return next(((kind, content, 0) for kind, content in words.items() if content), (OTHER, "", 0))


def _joined(parts: list[_Part] | None) -> str:
    return "".join(part.text or part.refusal or "" for part in parts or ())
