"""Which framer an answer needs."""

from otel_llm.wire.http import Answer
from otel_llm.wire.ndjson import Ndjson, Whole
from otel_llm.wire.sse import Sse

__all__ = ["Framer", "framer_of"]

Framer = Sse | Ndjson | Whole


def framer_of(answer: Answer, framing: str, *, stream: bool) -> Framer | None:
    """Return a framer, chosen by status and content type; None while the head of the answer is incomplete.

    framing: "sse" or "ndjson", for a stream whose content type does not tell
    stream:  whether an answer of no known type is a stream
    """
    if not answer.status:
        return None
    if not 200 <= answer.status < 300 or answer.content_type == "application/json":
        return Whole()
    if answer.content_type == "text/event-stream":
        return Sse()
    if answer.content_type in ("application/x-ndjson", "application/jsonl", "application/ndjson"):
        return Ndjson()
    if not stream:
        return Whole()
    return Ndjson() if framing == "ndjson" else Sse()
