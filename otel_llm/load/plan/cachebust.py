"""Prompts that no prefix cache has seen: each begins with 16 characters that no other prompt begins with.

A server that caches prefixes answers a repeated prompt faster than it would answer users. Request bodies are made with
a mark at that place; when a request is sent, digits of the same length replace the mark.
"""

import secrets
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from otel_llm.errors import ConfigError

__all__ = ["MARK", "draw_salt", "fill_in", "mark_body"]

MARK: Final = "<cache-bust-16c>"


def draw_salt(wanted: bool) -> str:
    """Return a random text that makes the prompts of this run differ from those of any other run; "" if not wanted."""
    return secrets.token_hex(8) if wanted else ""


def fill_in(body: bytes, salt: str, index: int) -> bytes:
    """Return the body with hexadecimal digits in place of the mark. They depend on the salt and the request's index."""
    own = blake2b(f"{salt}{index}".encode(), digest_size=8).hexdigest()
    return body.replace(MARK.encode(), own.encode(), 1)


def mark_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a parser's request body with the mark before its first text. Raises ConfigError when it has no text."""
    if isinstance(prompt := body.get("prompt"), str):
        return {**body, "prompt": f"{MARK} {prompt}"}
    inside = body.get("input")
    if isinstance(inside, Mapping):
        return {**body, "input": mark_body(inside)}
    messages = body.get("messages")
    if isinstance(messages, list) and messages and isinstance(text := messages[0].get("content"), str):
        return {**body, "messages": [{**messages[0], "content": f"{MARK} {text}"}, *messages[1:]]}
    raise ConfigError("a prompt or messages in the body for --cache-bust", sorted(body), "go without it")
