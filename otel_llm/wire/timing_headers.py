"""Headers in which servers and proxies say how long something took: `Server-Timing`, and those of their own."""

import re
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Any, Final

__all__ = ["HEADERS", "times_of_headers"]

_IN_MS: Final[Mapping[bytes, tuple[str, str]]] = {
    b"x-queue-time": ("tgi", "queue"),
    b"x-total-time": ("tgi", "total"),
    b"x-envoy-upstream-service-time": ("envoy", "upstream"),
    b"x-kong-upstream-latency": ("kong", "upstream"),
    b"x-litellm-overhead-duration-ms": ("litellm", "proxy"),
    b"openai-processing-ms": ("openai", "upstream"),
}
_SERVER_TIMING: Final = b"server-timing"
_ENTRY: Final = re.compile(r"^\s*([\w.-]+)[^,]*?;\s*dur=\"?([0-9.]+)")
_ENTRIES: Final[Mapping[str, str]] = {
    **{name: name for name in ("queue", "load", "prefill", "decode", "upstream")},
    "first_token": "first_token",
    "ttft": "first_token",
    "total": "upstream",  # it came with the head: what was to come then is not in it
    # TensorRT-LLM, of a whole answer that it has made; where servers made it together, the first token of the first one
    "server_queue": "queue",
    "server_ttft": "first_token",
    "server_e2e": "total",
    "disagg_ttft": "first_token",
}

HEADERS: Final = frozenset((*_IN_MS, _SERVER_TIMING))
"""Headers of an answer that say something of its times, in lower case."""


def times_of_headers(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, Any] | None:
    """Return what headers say, (name in lower case, value) each; None where they say nothing.

    Seconds by the names of `otel_llm.record.ServerTimes`, and `source`. Of two that say the same thing, the first.
    """
    found: dict[str, float] = {}
    sources: dict[str, None] = {}
    for source, name, text in _said(headers):
        try:
            seconds = float(text) / 1e3
        except ValueError:
            continue
        if name not in found and 0 <= seconds < inf:
            found[name], sources[source] = seconds, None
    return {"source": tuple(sources), **found} if found else None


def _said(headers: Sequence[tuple[bytes, bytes]]) -> Iterator[tuple[str, str, str]]:
    """Yield (who says it, our name, milliseconds as text)."""
    for field, value in headers:
        text = value.decode("latin-1")
        if field == _SERVER_TIMING:
            for entry in text.split(","):
                if (match := _ENTRY.match(entry)) and (name := _ENTRIES.get(match[1].lower())):
                    yield "server-timing", name, match[2]
        elif field in _IN_MS:
            yield *_IN_MS[field], text
