"""Prompts that no prefix cache has seen: each begins with 16 characters of its own.

A server that keeps the prefixes it has computed answers a repeated prompt faster than it would answer users. The place
is marked when bodies are made; what stands there is decided per request, and has always the same length.
"""

import secrets
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from otel_llm.errors import ConfigError

__all__ = ["MARK", "draw_salt", "fill_in", "mark_body"]

MARK: Final = "<cache-bust-16c>"


def draw_salt(wanted: bool) -> str:
    """Return what makes the prompts of one run different from those of every other; "" when it is not wanted."""
    return secrets.token_hex(8) if wanted else ""


def fill_in(body: bytes, salt: str, index: int) -> bytes:
    """Return the body with the mark replaced by hexadecimal digits that belong to this run and this request."""
    own = blake2b(f"{salt}{index}".encode(), digest_size=8).hexdigest()
    return body.replace(MARK.encode(), own.encode(), 1)


def mark_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a parser with the mark before its first text. Raises ConfigError where there is none."""
    if isinstance(prompt := body.get("prompt"), str):
        return {**body, "prompt": f"{MARK} {prompt}"}
    inside = body.get("input")
    if isinstance(inside, Mapping):
        return {**body, "input": mark_body(inside)}
    messages = body.get("messages")
    if isinstance(messages, list) and messages and isinstance(text := messages[0].get("content"), str):
        return {**body, "messages": [{**messages[0], "content": f"{MARK} {text}"}, *messages[1:]]}
    raise ConfigError("a prompt or messages in the body for --cache-bust", sorted(body), "go without it")
