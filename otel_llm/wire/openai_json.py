"""The objects that every OpenAI-like answer shares: usage and error."""

import msgspec

from otel_llm.wire.said import Said

__all__ = ["Usage", "bill", "error_of"]


class _Details(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class Usage(msgspec.Struct, gc=False):
    """A `usage` object: totals so far."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


def bill(said: Said, usage: Usage) -> int:
    """Write a usage object into `said`; return the output tokens that it adds to the one before.

    A server that sends usage with every chunk says by this how many tokens each chunk brought.
    """
    before = said.output_tokens
    said.input_tokens, said.output_tokens = usage.prompt_tokens, usage.completion_tokens
    if usage.prompt_tokens_details:
        said.cached_tokens = usage.prompt_tokens_details.cached_tokens
    if usage.completion_tokens_details:
        said.reasoning_tokens = usage.completion_tokens_details.reasoning_tokens
    return max((usage.completion_tokens or 0) - (before or 0), 0)


def error_of(raw: msgspec.Raw) -> tuple[str, str] | None:
    """Return (type, message) of an `error` member of any form; None when it is absent or null."""
    if not raw or bytes(raw) == b"null":  # a Raw equals no bytes
        return None
    error = msgspec.json.decode(raw)
    if isinstance(error, dict):
        return str(error.get("type") or error.get("code") or "error"), str(error.get("message") or error)
    return "error", str(error)
