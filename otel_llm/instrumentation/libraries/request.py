"""What a request asks for, under the convention's names: the same arguments in nearly every client library."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from otel_llm import conventions as names

__all__ = ["parameters", "server_in", "server_in_text"]

_NUMBERS: Final = {
    "max_tokens": names.REQUEST_MAX_TOKENS,
    "max_new_tokens": names.REQUEST_MAX_TOKENS,
    "max_completion_tokens": names.REQUEST_MAX_TOKENS,
    "max_output_tokens": names.REQUEST_MAX_TOKENS,
    "num_predict": names.REQUEST_MAX_TOKENS,
    "temperature": names.REQUEST_TEMPERATURE,
    "top_p": names.REQUEST_TOP_P,
    "top_k": names.REQUEST_TOP_K,
    "seed": names.REQUEST_SEED,
    "frequency_penalty": names.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": names.REQUEST_PRESENCE_PENALTY,
}
_TEXTS: Final = {
    "reasoning_effort": names.REQUEST_REASONING_LEVEL,
    "previous_response_id": names.REQUEST_PREVIOUS_RESPONSE_ID,
}
_PORTS: Final = {"https": 443, "http": 80}
_STOPS: Final = ("stop", "stop_sequences")
_MANY: Final = ("n", "num_return_sequences")


def parameters(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a request that the convention has a name for. What was not given is left out."""
    found: dict[str, Any] = {}
    for argument, name in _NUMBERS.items():
        value = asked.get(argument)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = value
    for argument, name in _TEXTS.items():
        if isinstance(value := asked.get(argument), str) and value:
            found[name] = value
    if isinstance(reasoning := asked.get("reasoning"), Mapping) and isinstance(level := reasoning.get("effort"), str):
        found[names.REQUEST_REASONING_LEVEL] = level
    for argument in _STOPS:
        value = asked.get(argument)
        if isinstance(value, str | list | tuple) and value:
            found[names.REQUEST_STOP_SEQUENCES] = (value,) if isinstance(value, str) else tuple(value)
    for argument in _MANY:
        if isinstance(value := asked.get(argument), int) and value != 1:
            found[names.REQUEST_CHOICE_COUNT] = value
    return found


def server_in(url: Any) -> dict[str, Any]:
    """Return the server's address and port out of a URL object, as httpx has them."""
    host = getattr(url, "host", None)
    if not isinstance(host, str) or not host:
        return {}
    port = getattr(url, "port", None) or _PORTS.get(getattr(url, "scheme", ""))
    return {"server_address": host, "server_port": port}


def server_in_text(url: Any) -> dict[str, Any]:
    """Return the server's address and port out of a URL as text; nothing out of anything else."""
    if not isinstance(url, str):
        return {}
    parts = urlsplit(url)
    if not parts.hostname:
        return {}
    return {"server_address": parts.hostname, "server_port": parts.port or _PORTS.get(parts.scheme)}
