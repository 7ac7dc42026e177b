"""A request that is ready to be sent."""

import msgspec

from otel_llm.wire.protocol import Ask

__all__ = ["Prepared"]


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """A request that only needs a connection.

    ask, body: what is asked, where that was not known before the run: a turn of a conversation after its first
    problem:   why it cannot be sent
    signed_ns: when it was signed, where it is
    """

    index: int
    session: int
    wire: bytes
    trace_id: str
    span_id: str
    ask: Ask | None = None
    body: bytes | None = None
    problem: str | None = None
    signed_ns: int | None = None
