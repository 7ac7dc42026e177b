"""Prompts that no prefix cache has seen: each begins with 16 characters of its own.

A server that keeps the prefixes it has computed answers a repeated prompt faster than it would answer users. The place
is marked when bodies are made; what stands there is decided per request, and has always the same length.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from otel_llm.errors import ConfigError

__all__ = ["MARK", "busted", "marked"]

MARK: Final = "<cache-bust-16c>"


def busted(body: bytes, salt: str, index: int) -> bytes:
    """Return the body with the mark replaced by hexadecimal digits that belong to this run and this request."""
    own = blake2b(f"{salt}{index}".encode(), digest_size=8).hexdigest()
    return body.replace(MARK.encode(), own.encode(), 1)


def marked(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a parser with the mark before its first text. Raises ConfigError where there is none."""
    if isinstance(prompt := body.get("prompt"), str):
        return {**body, "prompt": f"{MARK} {prompt}"}
    inside = body.get("input")
    if isinstance(inside, Mapping):
        return {**body, "input": marked(inside)}
    messages = body.get("messages")
    if isinstance(messages, list) and messages and isinstance(text := messages[0].get("content"), str):
        return {**body, "messages": [{**messages[0], "content": f"{MARK} {text}"}, *messages[1:]]}
    raise ConfigError("a prompt or messages in the body for --cache-bust", sorted(body), "go without it")
