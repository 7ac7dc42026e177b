"""One request and its answer: bytes that arrived become marks of one observation.

The only place that knows a connection, HTTP, a framer, a protocol plugin and an observation. Each of them knows only
its own step; per packet they are five method calls.

In the middle of a stream a packet is stamped and put aside, and some are looked at together: code and data are then
in the processor's cache for all but the first. What may be the head or the end of an answer is looked at at once.
"""

from collections.abc import Callable, Sequence

import msgspec

from otel_llm.errors import RemoteError
from otel_llm.observe import StreamObservation
from otel_llm.wire.http import Answer
from otel_llm.wire.ndjson import Ndjson, Whole
from otel_llm.wire.protocol import Protocol
from otel_llm.wire.sse import Sse

__all__ = ["SEPARATOR", "Exchange"]

_ERROR_TEXT = 2000
_TOGETHER = 16
_SHORT = 2048

SEPARATOR = b"\x1e"
"""ASCII's own record separator: JSON cannot hold it unescaped."""


class Exchange:
    """The peer of a connection while a request is under way. `on_done` is called once, when the answer has ended."""

    __slots__ = (
        "_answer",
        "_decode",
        "_ended_ns",
        "_feed",
        "_frame",
        "_framer",
        "_held",
        "_mark",
        "_middle",
        "_most",
        "_on_done",
        "_plugin",
        "_reads",
        "content",
        "obs",
        "reusable",
    )

    def __init__(
        self,
        obs: StreamObservation,
        plugin: Protocol,
        on_done: Callable[[], object],
        *,
        keep_events: bool,
    ) -> None:
        self.obs, self._plugin, self._on_done = obs, plugin, on_done
        self._answer = Answer()
        self._framer: Sse | Ndjson | Whole = Whole()
        self._reads = 0
        self._held: list[tuple[bytes, int, int]] = []  # reads that nobody has looked at
        self._middle: bytes | None = None  # how a read ends after which more must come
        # streams that run in lock-step shall not all stop to look in the same turn of the loop
        self._most = 1 + (obs.head.get("index") or 0) % _TOGETHER
        self._ended_ns: int | None = None
        self.content = bytearray() if keep_events else None
        """The data of every event, each followed by SEPARATOR: one growing buffer costs a packet less than a list."""
        self.reusable = False
        # bound once: these are called per packet
        self._feed, self._decode = self._answer.feed, plugin.decode
        self._frame: Callable[[bytes], Sequence[bytes]] = self._first_body
        self._mark = obs.mark_read

    # -- what the connection calls -----------------------------------------------------------------------------

    def received(self, data: bytes, at_ns: int, lag_ns: int) -> None:
        """Take what one read brought."""
        held = self._held
        held.append((data, at_ns, lag_ns))
        if len(held) >= self._most or data[-4:] != self._middle or len(data) > _SHORT:
            self.settle()

    def lost(self, error: Exception | None) -> None:
        """The connection ended. An answer that says itself how long it is was cut, any other is complete."""
        self.settle()
        if not self.obs.open:
            return
        at_ns = self.obs.now()
        if error is None and self._answer.end_of_stream():
            self._complete(at_ns, reusable=False)
        elif self._ended_ns is not None:
            self._complete(self._ended_ns, reusable=False)
        else:
            self.fail("disconnect", str(error) if error else "the connection was closed in the middle", at_ns)

    # -- what the worker calls ---------------------------------------------------------------------------------

    def settle(self) -> None:
        """Look at what has been put aside."""
        if not (self._held and self.obs.open):
            return
        held, self._held, self._most = self._held, [], _TOGETHER
        feed, at_ns = self._feed, 0
        try:
            for data, at_ns, lag_ns in held:
                self._reads = read = self._reads + 1
                self._take(self._frame(feed(data)), at_ns, lag_ns, read)
            if self._answer.complete:
                self._complete(at_ns)
        except Exception as error:  # a server's nonsense, or a plugin's bug: it must not take the run with it
            self._broke(error, at_ns)

    @property
    def over(self) -> bool:
        """Whether the protocol's end marker or an error has come, even if the HTTP body goes on."""
        return self._ended_ns is not None

    def fail(self, kind: str, message: str, at_ns: int | None = None) -> None:
        """End it as failed; what was marked stays."""
        self.settle()
        if self.obs.open:
            self._take_head()
            self.obs.fail(kind, message, at_ns=at_ns)
            self._done()

    def cancel(self) -> None:
        """End it because the run was interrupted."""
        self.settle()
        if self.obs.open:
            self._take_head()
            self.obs.cancel("interrupted")
            self._done()

    def finish(self) -> None:
        """End it at its end marker: whatever else the connection may bring is not awaited."""
        if self._ended_ns is not None and self.obs.open:
            self._complete(self._ended_ns, reusable=False)

    # -- inside ------------------------------------------------------------------------------------------------

    def _first_body(self, body: bytes) -> Sequence[bytes]:
        """Choose the framer when the head is known, by what the answer says it is."""
        answer = self._answer
        if not answer.status:
            return ()
        self.obs.head.setdefault("headers_ns", self.obs.now())
        if 200 <= answer.status < 300:
            if answer.content_type == "text/event-stream":
                self._framer = Sse()
            elif answer.content_type in ("application/x-ndjson", "application/jsonl", "application/ndjson"):
                self._framer = Ndjson()
            elif answer.content_type != "application/json" and self.obs.head.get("stream"):
                self._framer = Ndjson() if self._plugin.framing == "ndjson" else Sse()
            if not isinstance(self._framer, Whole):
                self._frame = self._framer.feed
                if answer.chunked:
                    self._middle = b"\n\n\r\n" if isinstance(self._framer, Sse) else b"}\n\r\n"
                return self._frame(body)
        self._frame = self._framer.feed
        return self._frame(body)

    def _take(self, events: Sequence[bytes], at_ns: int, lag_ns: int, read: int) -> None:
        decode, mark, content = self._decode, self._mark, self.content
        for event in events:
            delta = decode(event)
            if content is not None:
                content += event
                content += SEPARATOR
            if delta is not None:
                kind, text, tokens = delta
                mark(at_ns, lag_ns, read, len(event), tokens, len(text), kind)
        if self._ended_ns is None and (self._plugin.done or self._plugin.error is not None):
            self._ended_ns = at_ns

    def _complete(self, at_ns: int, *, reusable: bool = True) -> None:
        plugin, answer, rest = self._plugin, self._answer, self._framer.end()
        if not 200 <= answer.status < 300:
            text = b"".join(rest)[:_ERROR_TEXT].decode("utf-8", "replace")
            self.reusable = reusable and answer.keep_alive
            return self.fail(str(answer.status), text, at_ns)
        try:
            self._take(rest, at_ns, 0, self._reads)
        except Exception as error:
            return self._broke(error, at_ns)
        self.reusable = reusable and answer.keep_alive
        if plugin.error is not None:
            return self.fail("stream_error", ": ".join(plugin.error), at_ns)
        if plugin.finishes and not plugin.finish_reasons:
            return self.fail("no_finish", "the answer ended without a finish reason", at_ns)
        self._take_head()
        self.obs.end(at_ns if self._ended_ns is None else self._ended_ns)
        return self._done()

    def _broke(self, error: Exception, at_ns: int) -> None:
        if isinstance(error, RemoteError):
            return self.fail(error.kind, str(error), at_ns)
        theirs = isinstance(error, ValueError | msgspec.MsgspecError)
        return self.fail("bad_event" if theirs else "plugin_error", f"{type(error).__name__}: {error}", at_ns)

    def _take_head(self) -> None:
        plugin, obs = self._plugin, self.obs
        obs.set(
            status=self._answer.status or None,
            finish_reasons=plugin.finish_reasons,
            response_model=plugin.model,
            response_id=plugin.response_id,
        )
        obs.usage(
            input=plugin.input_tokens,
            output=plugin.output_tokens,
            cached=plugin.cached_tokens,
            reasoning=plugin.reasoning_tokens,
        )

    def _done(self) -> None:
        self._answer.close()
        self._frame = self._framer.feed  # not bound to this object any more: nothing here may need a collection
        self._on_done()
