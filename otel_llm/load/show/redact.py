"""Keep secrets out of what is written down: by the name under which they stand, and wherever else their text turns up.

A header or a query value is taken for a secret unless its name or its shortness says otherwise: nobody can list the
names of all keys. Of other values the name decides, or the shape that the keys of well-known services have.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

__all__ = [
    "REDACTED",
    "SHORTEST",
    "is_secret_name",
    "looks_random",
    "query_secrets",
    "redact",
    "redact_headers",
    "redact_url",
]

REDACTED: Final = "[redacted]"
SHORTEST: Final = 6
"""Characters of the shortest text that is taken for a secret whatever its name is."""

_SECRET: Final = re.compile(
    r"auth|key|token(?!iz)|cookie|secret|passw|passphrase|pwd|credential|signature|bearer|session|subscription|jwt"
    r"|(?<![a-z])(?:sig|sas|sid|code|pass|access)(?![a-z])",
    re.IGNORECASE,
)
_OPEN: Final = frozenset(
    (
        *("max_tokens", "min_tokens", "max_completion_tokens", "max_new_tokens", "max_output_tokens", "num_tokens"),
        *("min_new_tokens", "max_prompt_tokens", "budget_tokens", "stop_token_ids", "skip_special_tokens"),
        *("return_tokens", "return_token_ids", "logit_keys"),
        *("input_tokens", "output_tokens", "max_tokens_total", "session_header", "session_echo"),
        *("api_key_env", "api_key_file"),
    )
)
"""Names that suggest a secret and hold none."""

_OPEN_HEADERS: Final = frozenset(
    (
        *("accept", "accept-encoding", "accept-language", "cache-control", "connection", "content-type", "host"),
        *("user-agent", "traceparent", "tracestate", "baggage", "anthropic-version", "anthropic-beta", "openai-beta"),
        *("x-request-id", "x-priority", "x-model", "x-stainless-lang"),
    )
)
_OPEN_QUERY: Final = frozenset(("api-version", "version", "model", "deployment", "alt", "stream", "timeout", "beta"))
_SHAPE: Final = re.compile(
    r"\b(?:sk|pk|rk|gsk|hf|ghp|xai|pplx|nvapi|r8|csk|fw|tgp|key)[-_][\w-]{12,}"  # what services put before their keys
    r"|\bAIza[\w-]{20,}|\bAKIA[A-Z0-9]{12,}|\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]+)?|(?<=://)[^/@\s]+(?=@)"
    r"|(?<=Bearer )\S{6,}|(?<=Basic )\S{6,}"
)


def is_secret_name(name: str) -> bool:
    """Return whether what stands under this name is to be kept secret.

    >>> is_secret_name("X-Api-Key"), is_secret_name("max_tokens"), is_secret_name("decoder_input")
    (True, False, False)
    """
    return name not in _OPEN and _SECRET.search(name) is not None


def looks_random(text: str) -> bool:
    """Return whether a text may be a key: long, of one word, with digits and letters.

    >>> looks_random("sk-1f5a8b3c9d7e2f40"), looks_random("application/json")
    (True, False)
    """
    word = text.split()[-1] if text.strip() else ""
    return len(word) >= 2 * SHORTEST and any(c.isdigit() for c in word) and any(c.isalpha() for c in word)


def redact(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy with `[redacted]` in place of each value, however deep, whose name or shape is a secret's."""
    return {
        name: redact_headers(value) if name == "headers" and isinstance(value, Mapping) else _value(name, value)
        for name, value in values.items()
    }


def redact_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy with `[redacted]` in place of each value that may be a secret.

    >>> redact_headers({"X-Trace": "1", "X-Tenant-Id": "b7f3e1", "Accept": "text/event-stream"})
    {'X-Trace': '1', 'X-Tenant-Id': '[redacted]', 'Accept': 'text/event-stream'}
    """
    return {name: REDACTED if _hidden(name, str(value), _OPEN_HEADERS) else value for name, value in headers.items()}


def redact_url(url: str) -> str:
    """Return the URL with `[redacted]` in place of a user, a password, and each query value that may be a secret.

    >>> redact_url("http://me:pw@a/v1?code=abc&api-version=2024-10-21&x=1")
    'http://[redacted]@a/v1?code=[redacted]&api-version=2024-10-21&x=1'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return _SHAPE.sub(REDACTED, url.partition("?")[0])
    user, at, host = parts.netloc.rpartition("@")
    shown = parts._replace(
        netloc=f"{REDACTED}@{host}" if at and user else parts.netloc,
        path=_SHAPE.sub(REDACTED, parts.path),
        query="&".join(map(_pair, parts.query.split("&"))) if parts.query else "",
        fragment=REDACTED if len(parts.fragment) >= SHORTEST else parts.fragment,
    )
    return urlunsplit(shown)


def query_secrets(parts: SplitResult) -> list[str]:
    """Return the texts in the query and the user part of a URL that may be secrets, as written and decoded."""
    found = []
    for pair in parts.query.split("&"):
        name, equals, value = pair.partition("=")
        text = value if equals else name
        if _hidden(name if equals else "", unquote(text), _OPEN_QUERY):
            found += [text, unquote(text)]
    for part in (parts.password, parts.username):
        if part is not None:
            found += [part, unquote(part), quote(unquote(part), safe="")]
    return found


def _pair(pair: str) -> str:
    name, equals, value = pair.partition("=")
    if not equals:
        return REDACTED if _hidden("", unquote(pair), _OPEN_QUERY) else pair
    return f"{name}={REDACTED}" if value and _hidden(unquote(name), unquote(value), _OPEN_QUERY) else pair


def _hidden(name: str, text: str, known: frozenset[str]) -> bool:
    """Return whether a value of a header or a query is left out: all are, but those of known names and the shortest."""
    return is_secret_name(name) or (name.lower() not in known and len(text) >= SHORTEST)


def _value(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return redact(value)
    if value is not None and is_secret_name(name):
        return REDACTED
    if isinstance(value, list | tuple):
        return [_value(name, each) for each in value]
    return _SHAPE.sub(REDACTED, value) if isinstance(value, str) else value
