"""What was asked and answered, only where the environment asks for it, by the three ways of the convention.

OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: attributes of the span, an event, or both
OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK:         a hook of opentelemetry-util-genai, such as `upload`

Both are read per call; by default nothing here runs. Parts of a message that are no text, such as images, are told of
by their type alone.
"""

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context

from otel_llm import conventions as names
from otel_llm.instrumentation.calls.answers import member, read_json
from otel_llm.instrumentation.calls.destination import LOG
from otel_llm.instrumentation.calls.texts import text_of
from otel_llm.instrumentation.calls.tool_calls import ToolCalls, tool_call
from otel_llm.observation import StreamObservation
from otel_llm.record import StreamRecord

__all__ = ["Content", "content_of"]

_ARGUMENTS: Final = ("messages", "contents", "prompt", "task", "text", "input", "inputs", "inputText")
_SYSTEM: Final = ("system", "instructions")
_PART: Final = "text"


def content_of(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> "Content | None":
    """Return the content of a call with these arguments; None where nothing is to become of it."""
    where, hook = names.capture_content(os.environ), os.environ.get(names.COMPLETION_HOOK, "").strip()
    if (misspelt := names.misspelt_capture_content(os.environ)) is not None:
        _tell_misspelt(misspelt)
    return Content(args, kwargs, where, hook) if where != "no" or hook else None


@lru_cache
def _tell_misspelt(value: str) -> None:
    """Say that a value of the variable is none that there is, once for each."""
    LOG.warning(
        "expected %s to be NO_CONTENT, SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT, got %r; no content is kept",
        *(names.CAPTURE_CONTENT, value),
    )


class Content:
    """What one call was asked and answered. texts: of the items of its stream, or of its result, in their order."""

    __slots__ = ("_asked", "_hook", "_system", "_tools", "_where", "texts")

    def __init__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], where: str, hook: str) -> None:
        given = [mapping for mapping in (kwargs, *args) if isinstance(mapping, Mapping)]
        bodies = [read_json(body) for mapping in given if (body := mapping.get("body")) is not None]  # of Bedrock
        asked = _first(given := [*given, *bodies], _ARGUMENTS)
        self._asked = _messages(args[0] if asked is None and args and not bodies else asked)
        self._system = _parts(_first(given, _SYSTEM))
        self._where, self._hook = where, hook
        self.texts: list[str] = []
        self._tools = ToolCalls()

    def take(self, item: Any) -> None:
        """Take the text of an item or of a result, and the calls of tools."""
        self.texts.append(text_of(item))
        self._tools.take(item)

    def put(self, observation: StreamObservation) -> None:
        """Add it to what is known of the call, from where it goes onto the span, if it is to be there."""
        if self._where in ("span", "both"):
            import orjson

            reasons = observation.head.get("finish_reasons") or ()
            told = {name: orjson.dumps(value, default=str).decode() for name, value in self._told(reasons).items()}
            observation.head["attributes"] = {**observation.head.get("attributes", {}), **told}

    def tell(self, record: StreamRecord, context: Context, span: trace.Span | None) -> None:
        """Emit the event of a call that has ended, and call the hook; its span is still open."""
        from opentelemetry import _logs

        event = _logs.LogRecord(
            event_name=names.DETAILS_EVENT,
            context=context,
            attributes={**_facts(record), **self._told(record.finish_reasons)},
        )
        if self._hook:
            _call_hook(self._hook, self._asked, self._answered(record.finish_reasons), self._system, span, event)
        if self._where in ("event", "both"):
            _logs.get_logger(names.SCOPE).emit(event)

    def _told(self, reasons: Iterable[str]) -> dict[str, Any]:
        found = {
            names.SYSTEM_INSTRUCTIONS: self._system,
            names.INPUT_MESSAGES: self._asked,
            names.OUTPUT_MESSAGES: self._answered(reasons),
        }
        return {name: value for name, value in found.items() if value}

    def _answered(self, reasons: Iterable[str]) -> list[Any]:
        parts = [{"type": _PART, "content": "".join(self.texts)}] if any(self.texts) else []
        parts += self._tools.told()
        if not parts:
            return []
        return [{"role": "assistant", "parts": parts, "finish_reason": next(iter(reasons), "")}]


def _facts(record: StreamRecord) -> dict[str, Any]:
    found = {
        names.OPERATION_NAME: record.operation,
        names.PROVIDER_NAME: record.provider or names.UNKNOWN_PROVIDER,
        names.REQUEST_MODEL: record.model,
        names.RESPONSE_MODEL: record.response_model,
        names.RESPONSE_ID: record.response_id,
        names.RESPONSE_FINISH_REASONS: record.finish_reasons or None,
        names.USAGE_INPUT_TOKENS: record.input_tokens,
        names.USAGE_OUTPUT_TOKENS: record.output_tokens if record.token_source != "chunks" else None,
        names.ERROR_TYPE: record.error_type,
    }
    return {name: value for name, value in found.items() if value is not None}


# -- messages, as the convention's schema has them -----------------------------------------------------------------


def _first(given: Iterable[Mapping[str, Any]], wanted: Iterable[str]) -> Any:
    return next((one[name] for one in given for name in wanted if one.get(name) is not None), None)


def _messages(found: Any) -> list[Any]:
    if isinstance(found, str):
        return [{"role": "user", "parts": _parts(found)}]
    if isinstance(found, list | tuple):
        return [_message(one) for one in found if isinstance(one, str | Mapping) or hasattr(one, "__dict__")]
    return [_message(found)] if member(found, "parts") or member(found, "content") else []


def _message(found: Any) -> dict[str, Any]:
    if isinstance(found, str):
        return {"role": "user", "parts": _parts(found)}
    content = member(found, "content")
    if (answered := member(found, "tool_call_id")) is not None:  # a result, as OpenAI has it
        parts = [{"type": "tool_call_response", "id": answered, "response": content}]
    else:
        parts = _parts(member(found, "parts") if content is None else content)
    calls = ToolCalls()
    calls.take({"tool_calls": member(found, "tool_calls")})
    role = member(found, "role") or member(found, "type") or "user"
    return {"role": str(role), "parts": [*parts, *calls.told()]}


def _parts(found: Any) -> list[Any]:
    if isinstance(found, list | tuple):
        return [part for one in found for part in _parts(one)]
    if found is None:
        return []
    words = found if isinstance(found, str) else member(found, "text")
    if isinstance(words, str):
        return [{"type": _PART, "content": words}]
    if (call := tool_call(found)) is not None:
        return [call]
    kind = str(member(found, "type") or "other")
    if kind == "tool_result":  # as Anthropic has it
        return [
            {"type": "tool_call_response", "id": member(found, "tool_use_id"), "response": member(found, "content")}
        ]
    return [{"type": kind}]


# -- the hook of opentelemetry-util-genai --------------------------------------------------------------------------


@lru_cache
def _hook(name: str) -> Any:
    """Return the hook of that name with the types that it takes; None, said once, where util-genai is not installed."""
    try:
        from opentelemetry.util.genai import completion_hook, types  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        LOG.warning(
            "expected opentelemetry-util-genai for %s=%s, got none; next step: pip install opentelemetry-util-genai",
            *(names.COMPLETION_HOOK, name),
        )
        return None
    return completion_hook.load_completion_hook(), types


def _typed(types: Any, part: dict[str, Any]) -> Any:
    match part["type"]:
        case "text":
            return types.Text(content=part["content"])
        case "tool_call":
            return types.ToolCallRequest(arguments=part["arguments"], name=part["name"], id=part["id"])
        case "tool_call_response":
            return types.ToolCallResponse(response=part["response"], id=part["id"])
    return types.GenericPart(type=part["type"])


def _call_hook(
    name: str, asked: list[Any], answered: list[Any], system: list[Any], span: trace.Span | None, event: Any
) -> None:
    if (found := _hook(name)) is None:
        return
    hook, types = found

    def typed(parts: list[Any]) -> list[Any]:
        return [_typed(types, part) for part in parts]

    hook.on_completion(
        inputs=[types.InputMessage(role=one["role"], parts=typed(one["parts"])) for one in asked],
        outputs=[types.OutputMessage(one["role"], typed(one["parts"]), one["finish_reason"]) for one in answered],
        system_instruction=typed(system),
        span=span,
        log_record=event,
    )
