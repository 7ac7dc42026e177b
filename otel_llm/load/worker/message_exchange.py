"""One request and its answer over gRPC: the messages are there, HTTP and framing fall away."""

from collections.abc import Sequence

from otel_llm.clock import now_ns
from otel_llm.load.worker.exchange import Exchange
from otel_llm.wire.arrivals import Arrivals

__all__ = ["MessageExchange"]


class MessageExchange(Exchange):
    """The peer of a call (`otel_llm.wire.messages.MessagePeer`)."""

    __slots__ = ()

    def received(self, reads: Sequence[bytes], arrivals: Arrivals) -> None:
        """Take whole events, one a read."""
        if self.open:
            self.raw.arrivals, last = arrivals, arrivals.count
            self.raw.head = self.raw.head or 1  # the head of an answer comes with its first message
            self._decode(reads, range(last - len(reads) + 1, last + 1))

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
