"""A trace as the page draws it: its spans as a tree, flat and in order, with moments in seconds from its start."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from otel_llm import conventions
from otel_llm.view.source import KeptSpan

__all__ = ["trace_of", "words_of"]

_LONGEST: Final = 20_000
"""Characters of a value that are shown."""


def trace_of(kept: Sequence[KeptSpan]) -> dict[str, Any]:
    """Return the trace of spans, each once; those whose parent is not here stand at the top."""
    spans = {each.span.span_id: each for each in sorted(kept, key=lambda each: len(each.chunks))}
    start = min(each.span.start_unix_ns for each in spans.values())
    end = max(max(each.span.end_unix_ns, each.span.start_unix_ns) for each in spans.values())
    first = next(iter(spans.values())).span
    return {
        "trace_id": f"{first.trace_id:032x}" if first.trace_id else None,
        "start": start / 1e9,
        "duration": (end - start) / 1e9,
        "spans": [_shown(spans[number], depth, start, spans) for number, depth in _in_order(spans)],
    }


def words_of(kept: KeptSpan) -> str:
    """Return what was said of a failure: the status, or the exception that was recorded; empty for nothing."""
    said = [kept.span.status_message]
    for event in kept.span.events:
        parts = (event.attributes.get(name) for name in (conventions.EXCEPTION_TYPE, conventions.EXCEPTION_MESSAGE))
        said.append(": ".join(str(part) for part in parts if part))
    return next(filter(None, said), "")[:_LONGEST]


def _in_order(spans: Mapping[int, KeptSpan]) -> Iterator[tuple[int, int]]:
    """Yield the id of each span with its depth, a parent before its children, these by their start."""
    below: dict[int, list[int]] = defaultdict(list)
    for number, each in sorted(spans.items(), key=lambda item: item[1].span.start_unix_ns):
        parent = each.span.parent_span_id
        below[parent if parent in spans and parent != number else 0].append(number)
    waiting = [(number, 0) for number in reversed(below[0])]
    left = dict.fromkeys(spans)
    while left:
        if not waiting:  # parents that are each other's children
            waiting.append((next(iter(left)), 0))
        number, depth = waiting.pop()
        if number in left:
            del left[number]
            yield number, depth
            waiting += [(child, depth + 1) for child in reversed(below[number])]


def _shown(kept: KeptSpan, depth: int, start: int, spans: Mapping[int, KeptSpan]) -> dict[str, Any]:
    span = kept.span
    return {
        "name": span.name,
        "service": str(span.resource.get(conventions.SERVICE_NAME) or ""),
        "kind": span.kind.lower(),
        "span_id": f"{span.span_id:016x}",
        "depth": depth,
        "orphan": bool(span.parent_span_id) and span.parent_span_id not in spans,
        "start": (span.start_unix_ns - start) / 1e9,
        "duration": max(span.end_unix_ns - span.start_unix_ns, 0) / 1e9,
        "failed": span.status == "ERROR",
        "words": words_of(kept) if span.status == "ERROR" else "",
        "attributes": _pairs(span.attributes),
        "resource": _pairs(span.resource),
        "scope": span.scope,
        "events": [
            {"name": each.name, "at": (each.at_unix_ns - start) / 1e9, "attributes": _pairs(each.attributes)}
            for each in span.events
        ],
        "chunks": [(at - start) / 1e9 for at in kept.chunks],
    }


def _pairs(attributes: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, _text(value)) for name, value in sorted(attributes.items())]


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"
