"""Remove secrets from a command line before it is written to a run file or a report."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

__all__ = ["REDACTED", "redact", "redact_url"]

REDACTED: Final = "[redacted]"
_SECRET: Final = re.compile(r"auth|key|token(?!iz)|cookie|secret|passw|credential|signature|\bsig\b", re.IGNORECASE)
_OPEN: Final = frozenset(
    (
        *("max_tokens", "min_tokens", "max_completion_tokens", "stop_token_ids", "skip_special_tokens"),
        *("max_tokens_total", "api_key_env", "api_key_file"),
    )
)
"""Names that suggest a secret and hold none."""


def redact(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy with `[redacted]` in place of each value, also a nested one, whose name suggests a secret."""
    return {name: _value(name, value) for name, value in values.items()}


def redact_url(url: str) -> str:
    """Return the URL with `[redacted]` in place of each query value whose name suggests a secret."""
    parts = urlsplit(url)
    if not parts.query:
        return url
    query = [(name, _value(name, value)) for name, value in parse_qsl(parts.query, keep_blank_values=True)]
    return urlunsplit(parts._replace(query=urlencode(query, safe="[]")))


def _value(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return redact(value)
    if value is not None and name not in _OPEN and _SECRET.search(name):
        return REDACTED
    return value
