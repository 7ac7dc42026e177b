"""What is written down of a command line: everything but its secrets."""

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
"""Names that sound like secrets and are none."""


def redact(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy in which every value whose name sounds like a secret is `[redacted]`, nested mappings included."""
    return {name: _value(name, value) for name, value in values.items()}


def redact_url(url: str) -> str:
    """Return the URL with secret-sounding query values redacted."""
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
