"""One request and its answer in messages, over gRPC or a WebSocket: they are there, HTTP and framing fall away."""

from collections.abc import Sequence

from otel_llm.clock import now_ns
from otel_llm.load.worker.exchange import CLOSED_IDLE, Exchange
from otel_llm.wire.arrivals import Arrivals
from otel_llm.wire.messages import SocketProtocol

__all__ = ["MessageExchange", "SocketExchange"]

_ORDERLY = ("close_1000", "close_1001")
"""How a server closes a WebSocket that it has kept for long enough, or as it goes away."""


class MessageExchange(Exchange):
    """The peer of a call (`otel_llm.wire.messages.MessagePeer`)."""

    __slots__ = ()

    def took(self, events: Sequence[bytes], reads: Sequence[int], arrivals: Arrivals) -> None:
        """Take whole events, each with the number of its read."""
        if self.open:
            self.raw.arrivals = arrivals
            self.raw.head = self.raw.head or reads[0]  # the head of an answer comes with its first message
            self._decode(events, reads)

    def closed(self, status: str, details: str) -> None:
        """Take the end of the call. A status of "ok" is no success yet: the answer is judged as any other."""
        if not self.open:
            return
        self.reusable = True
        if status == "ok" or self.over:
            self._judge(now_ns())
        else:
            self.fail(status, details or f"the call ended with status {status.upper()}")

    def finish(self) -> None:
        """End it at its end marker, without waiting for the call to end."""
        if self.over and self.open:
            self._judge(now_ns())


class SocketExchange(MessageExchange):
    """The peer of a WebSocket, which is used again only behind an answer that came to its end without an error."""

    _plugin: SocketProtocol

    __slots__ = ()

    def stopping(self) -> bytes | None:
        """Return the message that asks to stop the answer; None until it has begun."""
        return self._plugin.stopping()

    def closed(self, status: str, details: str) -> None:
        """Take the end of the answer, or that of the connection before it."""
        if status in _ORDERLY and self._kept and not self.raw.kind:
            status = CLOSED_IDLE
        super().closed(status, details)
        # one that was to be stopped and came whole all the same: what is said to that would be taken for the next one's
        crossed = self.raw.stop_ns is not None and self.raw.outcome == "complete"
        self.reusable = status == "ok" and self.raw.outcome in ("complete", "closed_early") and not crossed

    def _judge(self, at_ns: int) -> None:
        if self._plugin.stopped:
            self._end("closed_early", self.raw.arrivals.at(self._ended))
        else:
            super()._judge(at_ns)
