"""A request as the worker that sent it knows it: what arrived, as it arrived, with nothing computed.

A worker has packets to wait for; the coordinator computes everything that can be computed later (`reckoning`).
"""

import msgspec

from otel_llm.record import Outcome
from otel_llm.wire.arrivals import Arrivals
from otel_llm.wire.repeats import Content
from otel_llm.wire.said import Said

__all__ = ["Raw"]


class Raw(msgspec.Struct, array_like=True):
    """One request. Times are ns of the monotonic clock, as in `StreamRecord`; None stands for what is not known."""

    index: int
    trace_id: str | None = None
    span_id: str | None = None
    due_ns: int | None = None
    intended_ns: int | None = None
    sent_ns: int = 0
    connect_ns: int | None = None

    # what came: the reads, the number of the one that completed the head (0: none did), and of each chunk the number of
    # its read, bytes, characters of text and tokens (uint32), and its kind (uint8), each column in parts
    arrivals: Arrivals = msgspec.field(default_factory=Arrivals)
    head: int = 0
    read: list[bytes] = []
    size: list[bytes] = []
    length: list[bytes] = []
    tokens: list[bytes] = []
    kind: list[bytes] = []
    content: Content | None = None
    """What its events said; None where that is not kept."""

    # how it ended
    outcome: Outcome | None = None
    ended_ns: int = 0
    error_type: str | None = None
    error_message: str | None = None
    unsent: bool = False

    # what the answer states about itself
    status: int | None = None
    said: Said = msgspec.field(default_factory=Said)

    resent: bool = False
    """Whether it was sent a second time, on a new connection: its server had closed the one that was kept."""

    echoed: str = ""
    """What the header says that the next turn of its conversation sends back; empty where there is none."""

    stop_ns: int | None = None
    """When the server was asked to stop the answer."""

    body: bytes | None = None
    """What was sent, where the plan does not say it: a turn of a conversation after its first."""
