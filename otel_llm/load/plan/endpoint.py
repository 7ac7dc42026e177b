"""The endpoint that a URL means: servers document their base URL, and a request goes to a path below it."""

import re
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from otel_llm.wire.protocol import Protocol

__all__ = ["DEFAULT_URL", "complete_url"]

DEFAULT_URL: Final = "http://localhost:8000/v1/chat/completions"

_BASE: Final = re.compile(r"/?|.*/(?:v\d+[a-z0-9]*|openai|api)/?")


def complete_url(url: str, protocol: type[Protocol] | None, model: str = "", *, stream: bool = True) -> str:
    """Return the URL with the path of the endpoint, where it is a base URL; any other URL as it is.

    protocol: the one that was named, None for OpenAI's chat completions
    model:    what the path names in some protocols

    >>> complete_url("http://host:8000", None), complete_url("https://host/openai/v1/?a=b", None)
    ('http://host:8000/v1/chat/completions', 'https://host/openai/v1/chat/completions?a=b')
    >>> complete_url("http://host/v1/completions", None)
    'http://host/v1/completions'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    end = urlsplit("/chat/completions" if protocol is None else protocol.path(model, stream=stream))
    if not end.path or not parts.netloc or not _BASE.fullmatch(parts.path) or parts.path.rstrip("/").endswith(end.path):
        return url
    base = parts.path.rstrip("/")
    if not base and (protocol is None or protocol.provider == "openai"):
        base = "/v1"
    first = end.path[: end.path.find("/", 1)]
    if base.endswith(first):  # `/v1` and `/v1/messages`
        base = base.removesuffix(first)
    query = "&".join(filter(None, (parts.query, end.query)))
    return urlunsplit(parts._replace(path=base + end.path, query=query))
