"""The `google-genai` library: `models`, and the chats that call it, of the Gemini API and of Vertex AI.

A call that lets the library call Python functions asks the model several times, and is one call here: its usage is that
of the last answer, as the library's own response has it. No trace headers are added: Google's servers join no trace.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from otel_llm.instrumentation.calls.answers import member
from otel_llm.instrumentation.calls.hooks import Hooks, MeasuredCall
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries.adapter import LibraryTarget, Settings
from otel_llm.instrumentation.libraries.request import parameters, server_in_text
from otel_llm.observation import StreamObservation
from otel_llm.record import OTHER, PADDING, REASONING, TEXT, TOOL

__all__ = ["targets"]


def targets(_: Settings) -> Iterable[LibraryTarget]:
    """Say what is measured."""
    contents = Hooks(describe=_describe, item=_kind_of_chunk, result=_result)
    vectors = Hooks(describe=_describe, result=_vectors)
    for owner in ("Models", "AsyncModels"):
        for names, operation, hooks in (
            (("generate_content", "generate_content_stream"), "generate_content", contents),
            (("embed_content",), "embeddings", vectors),
        ):
            options = Options(operation=operation, kind="client")
            yield LibraryTarget("google.genai.models", owner, names, options, hooks)


def _describe(models: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    client = getattr(models, "_api_client", None)
    config = asked.get("config")
    given = config if isinstance(config, Mapping) else getattr(config, "__dict__", {})
    server = server_in_text(getattr(getattr(client, "_http_options", None), "base_url", None))
    choices = {"n": given.get("candidate_count")}
    return {
        "provider": "gcp.vertex_ai" if getattr(client, "vertexai", False) else "gcp.gemini",
        "parameters": parameters({**given, **choices} if choices["n"] else given),
        **server,
    }


def _kind_of_chunk(chunk: Any, observation: StreamObservation) -> int:
    _take(chunk, observation)
    kinds = {_kind_of_part(part) for candidate in chunk.candidates or () for part in _parts(candidate)}
    for kind in (TEXT, REASONING, TOOL):
        if kind in kinds:
            return kind
    return OTHER if chunk.usage_metadata is not None else PADDING


def _parts(candidate: Any) -> Iterable[Any]:
    return getattr(getattr(candidate, "content", None), "parts", None) or ()


def _kind_of_part(part: Any) -> int:
    if getattr(part, "text", None):
        return REASONING if getattr(part, "thought", None) else TEXT
    made = ("function_call", "executable_code", "code_execution_result", "inline_data")
    return TOOL if any(getattr(part, name, None) is not None for name in made) else PADDING


def _result(call: MeasuredCall, answer: Any) -> None:
    if call.observation is not None:
        _take(answer, call.observation)


def _take(answer: Any, observation: StreamObservation) -> None:
    """Take what an answer says about itself. A chunk says all that was used so far; thoughts are billed as output."""
    for field, name in (("response_model", "model_version"), ("response_id", "response_id")):
        if isinstance(value := getattr(answer, name, None), str) and value:
            observation.set(**{field: value})
    reasons = [getattr(candidate, "finish_reason", None) for candidate in answer.candidates or ()]
    if found := tuple(str(getattr(reason, "value", reason)) for reason in reasons if reason):
        observation.set(finish_reasons=found)
    if (bill := answer.usage_metadata) is None:
        return
    made, thought = bill.candidates_token_count, getattr(bill, "thoughts_token_count", None)
    output = None if made is None and thought is None else (made or 0) + (thought or 0)
    given, tools = bill.prompt_token_count, getattr(bill, "tool_use_prompt_token_count", None)
    observation.usage(
        input=None if given is None else given + (tools or 0),
        output=output,
        cached=bill.cached_content_token_count,
        reasoning=thought,
    )


def _vectors(call: MeasuredCall, answer: Any) -> None:
    """Take the tokens of what was embedded, which Vertex AI tells of."""
    counts = [member(member(one, "statistics"), "token_count") for one in getattr(answer, "embeddings", None) or ()]
    known = [int(count) for count in counts if count is not None]
    if call.observation is not None and known:
        call.observation.usage(input=sum(known))
