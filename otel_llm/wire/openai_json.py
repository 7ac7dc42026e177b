"""The objects that every OpenAI-like answer shares: usage, error, and the arguments of a tool call; and its length."""

from typing import Any, Final, TypeVar

import msgspec
import orjson

from otel_llm.wire.liberal import load, read
from otel_llm.wire.protocol import Protocol
from otel_llm.wire.said import Said
from otel_llm.wire.server_timings import timings_in
from otel_llm.wire.timing_headers import times_of_headers

__all__ = [
    "VERSIONS",
    "Timed",
    "Usage",
    "answer_length",
    "arguments_of",
    "bill",
    "error_of",
    "read_or_end",
    "take_timings",
]

T = TypeVar("T", bound=msgspec.Struct)

VERSIONS: Final = (
    ("/version", "version"), ("/props", "build_info"), ("/server_info", "version"), ("/get_server_info", "version"),
    ("/info", "version"), ("/api/version", "version"),
)  # fmt: skip
"""Where engines with such protocols tell their version: vLLM, llama.cpp, SGLang, SGLang before 0.5, TGI, Ollama."""


class _Details(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class Usage(msgspec.Struct, gc=False):
    """A `usage` object: totals so far."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    queue_time: Any = None
    prompt_time: Any = None
    completion_time: Any = None


class Timed(msgspec.Struct, gc=False):
    """Where engines and services put their own times beside `usage`, each in a shape of its own."""

    metrics: Any = None
    timings: Any = None
    time_info: Any = None
    x_groq: Any = None
    nvext: Any = None
    stats: Any = None
    server_timing: Any = msgspec.field(default=None, name="Server-Timing")
    usage: Usage | None = None


def take_timings(said: Said, chunk: Timed) -> None:
    """Write what a chunk says of the server's own time into `said`."""
    billed = chunk.usage is not None and chunk.usage.queue_time is not None
    if chunk.metrics or chunk.timings or chunk.time_info or chunk.x_groq or chunk.nvext or chunk.stats or billed:
        said.server = timings_in(chunk) or said.server
    if isinstance(chunk.server_timing, str):  # of TensorRT-LLM: behind the end of a stream, what heads would have said
        said.add_times(times_of_headers([(b"server-timing", chunk.server_timing.encode())]))


def bill(said: Said, usage: Usage) -> int:
    """Write a usage object into `said`; return the output tokens that it adds to the one before.

    A server that sends usage with every chunk says by this how many tokens each chunk brought. An empty usage, or one
    of zeros, takes back nothing: some gateways send one behind the true one.
    """
    before, total = said.output_tokens, usage.completion_tokens
    said.input_tokens = usage.prompt_tokens or said.input_tokens
    if total or before is None:
        said.output_tokens = total
    if usage.prompt_tokens_details:
        said.cached_tokens = usage.prompt_tokens_details.cached_tokens
    if usage.completion_tokens_details:
        said.reasoning_tokens = usage.completion_tokens_details.reasoning_tokens
    return max((total or 0) - (before or 0), 0)


def read_or_end(event: bytes, kind: type[T], answer: Protocol) -> T | None:
    """Return an event that its typed decoder refused, as `read` does; None for `[DONE]`, which ends the answer.

    So the marker, which is no JSON, is looked for in one event and not in each.
    """
    if event.strip() == b"[DONE]":
        answer.done = True
        return None
    return read(event, kind, answer.said)


def error_of(raw: msgspec.Raw) -> tuple[str, str] | None:
    """Return (type, message) of an `error` member of any form; None when it is absent or null."""
    if not raw or bytes(raw) == b"null":  # a Raw equals no bytes
        return None
    error = load(bytes(raw))
    if isinstance(error, dict):
        return str(error.get("type") or error.get("code") or "error"), str(error.get("message") or error)
    return "error", str(error)


def arguments_of(arguments: str | dict[str, Any] | None) -> str:
    """Return the arguments of a tool call as JSON: a piece of it, or an object that some servers send whole."""
    if isinstance(arguments, dict):
        return orjson.dumps(arguments).decode()
    return arguments or ""


def answer_length(tokens: int) -> dict[str, Any]:
    """Return the parameters for an answer of exactly so many tokens.

    `max_tokens` is known to every engine, also where `max_completion_tokens` is not. `min_tokens` and `ignore_eos` are
    words of the engines (vLLM, SGLang, TensorRT-LLM), which OpenAI's own servers refuse.
    """
    return {"max_tokens": tokens, "min_tokens": tokens, "ignore_eos": True}
