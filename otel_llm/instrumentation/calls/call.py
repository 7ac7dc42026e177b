"""One measured call from its start to its end: an observation, a span and a context, told once when it is over.

Nothing here raises: what telemetry cannot do is logged once and left undone, and the call itself goes on.
"""

from array import array
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context

from otel_llm.errors import RemoteError
from otel_llm.instrumentation.calls import content, in_flight, items, usage
from otel_llm.instrumentation.calls.current import attach, call_in, detach, remember, with_call
from otel_llm.instrumentation.calls.isolation import LOG, Telemetry, clock, guarded, sink
from otel_llm.instrumentation.calls.options import Options
from otel_llm.observation import StreamObservation
from otel_llm.record import CONTENT_KINDS, NESTED, OTHER, PADDING, TEXT, StreamRecord

if TYPE_CHECKING:
    from otel_llm.generation import GenerationMetrics

__all__ = ["Call", "Finished"]

_NONE: Final[Mapping[str, Any]] = {}


class Finished:
    """A record, and its metrics once somebody asks for them."""

    def __init__(self, record: StreamRecord) -> None:
        self.record = record

    @cached_property
    def metrics(self) -> "GenerationMetrics":
        from otel_llm.generation import GenerationMetrics

        return GenerationMetrics.of(self.record)


class Call:
    """A call that is about to be made. It becomes current with `context`, and ends once, by the first of its ends."""

    __slots__ = (
        "_handle",
        "_has_text",
        "_head",
        "_made_ns",
        "_of_function",
        "_sink",
        "_value",
        "at_ns",
        "context",
        "finished",
        "gave_way",
        "instance",
        "last",
        "nested",
        "now_ns",
        "observation",
        "odd",
        "open",
        "options",
        "outer",
        "state",
        "streamed",
        "texts",
        "tokens",
    )

    def __init__(
        self,
        options: Options,
        instance: Any = None,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] = _NONE,
        last: "ContextVar[Finished | None] | None" = None,
    ) -> None:
        self.options, self.instance, self._of_function = options, instance, last
        self.context: Context = otel.get_current()
        self.outer = call_in(self.context)
        self.observation: StreamObservation | None = None
        self.finished: Finished | None = None
        self.state: Any = None  # an adapter's own, from `prepare` on
        self.open, self.streamed = True, False
        self.now_ns = clock().now_ns
        self._made_ns = self.now_ns()
        # When the items of a stream came, stamped by their proxy, and the kinds of those that are not text: they become
        # the observation's chunks when the call ends. A list, because it grows at half the price of an array.
        self.at_ns: list[int] = []
        self.odd: dict[int, int] = {}
        self.last: Any = None  # the item that came last, while all that is known of it is that it has text
        self._has_text: Callable[[Any], bool] | None = None  # there from the item on that said the answer's id
        self.tokens: list[int] | None = None if options.tokens is None else []
        self.texts: list[str] | None = [] if content.wanted() else None
        self._head: dict[str, Any] = guarded("head", options.head, instance, args, kwargs) or {}
        self.gave_way = False
        self.nested = self.outer is not None and not self.outer.gives_way()
        if self.nested:
            self._head["flags"] = (NESTED,)
        self._sink: Telemetry | None = None
        self._value: Any = None
        self._handle: Any = None
        if self.texts is not None:
            guarded("content", content.asked, self._head, args, kwargs)

    # -- the start ---------------------------------------------------------------------------------------------

    def begin(self, at_ns: int | None = None) -> None:
        """Start the clock, the span and the call's own context, unless that was done."""
        if self.observation is None:
            self.observation = StreamObservation(self._finish, clock=clock(), sent_ns=at_ns, **self._head)
            guarded("open", self._begin, self.observation)
            in_flight.add(self)

    def _begin(self, observation: StreamObservation) -> None:
        around = self.context
        self.context = with_call(self, around)
        token = attach(around)
        try:
            self._sink = sink()
            self._handle = self._sink.opened(self._head, observation.sent_ns)
        finally:
            detach(token)
        span = self._handle.span
        self.context = trace.set_span_in_context(span, self.context)
        own = span.get_span_context()
        if own.is_valid:
            observation.set(trace_id=trace.format_trace_id(own.trace_id), span_id=trace.format_span_id(own.span_id))

    def gives_way(self) -> bool:
        """Return whether a call inside this one is counted in its place; it is then a span and nothing else.

        Of calls inside each other the outermost is counted, unless it is a mere frame around those that do the work.
        """
        if self.nested or not self.options.gives_way:
            return False
        if not self.gave_way and self.observation is not None and self._sink is not None:
            self.gave_way = True
            self.observation.set(flags=(*self.observation.head.get("flags", ()), NESTED))
            guarded("uncount", self._sink.uncount, self._handle)
        return True

    @property
    def plain(self) -> bool:
        """Whether of a string in its stream nothing but the arrival is of interest."""
        return self.tokens is None and self.texts is None

    # -- what it brings ----------------------------------------------------------------------------------------

    def took(self, item: Any) -> None:
        """Note what the item that was stamped last says besides its arrival; of text only that it came last."""
        try:
            told = self._has_text is not None and self._has_text(item)
        except Exception:
            told = False
        if told:
            self.last = item
        else:
            guarded("item", self._read, item)

    def note(self, item: Any) -> Any:
        """Return `item`, stamped as one that arrives now."""
        self.at_ns.append(self.now_ns())
        self.took(item)
        return item

    def _catch_up(self) -> None:
        """Read what the last item with text says besides."""
        if self.last is not None and self.observation is not None:
            item, self.last = self.last, None
            (self.options.item or items.kind_of)(item, self.observation)

    def _read(self, item: Any) -> None:
        self._catch_up()
        if (observation := self.observation) is None:
            return
        kind = (self.options.item or items.kind_of)(item, observation)
        if self.tokens is not None and self.options.tokens is not None:
            brought = self.options.tokens(item)
            self.tokens.append(brought)
            if not brought and kind != OTHER:
                kind = PADDING
            elif brought and kind not in CONTENT_KINDS:
                kind = TEXT
        if kind != TEXT:
            self.odd[len(self.at_ns) - 1] = kind
        if self.texts is not None:
            self.texts.append(items.text_of(item))
        if self.plain and "response_id" in observation.head:
            self._has_text = self.options.text

    def returned(self, value: Any) -> None:
        """Note what the call returned, which ends it."""
        if self.observation is None or not self.open:
            return
        now = self.now_ns()
        guarded("result", self._count, value, self.observation)
        if self.texts is not None:
            guarded("content", self.texts.append, items.text_of(value))
        self._last(lambda observation: observation.end(now))

    def _count(self, value: Any, observation: StreamObservation) -> None:
        counter = self.options.tokens
        if counter is None and self.options.counter is not None and isinstance(value, str):
            counter = self.options.counter(self.instance)
        self._value = value if self.options.tell is not None else None
        if self.options.result is not None and counter is None:
            self.options.result(self, value)
        else:
            usage.read(value, observation, counter)

    # -- its ends ----------------------------------------------------------------------------------------------

    def end(self) -> None:
        """It is complete."""
        now = self.now_ns()
        self._last(lambda observation: observation.end(now))

    def broke(self, error: BaseException, *, outside: bool = False) -> None:
        """An exception came out of it; exhaustion and cancellation are exceptions too.

        outside: it was the consumer's, between two items, so the stream is unfinished and ends at its last chunk
        """
        if isinstance(error, StopIteration | StopAsyncIteration):
            self.end()
        elif isinstance(error, GeneratorExit):
            self.close_early()
        elif not isinstance(error, Exception):  # asyncio's, trio's and gevent's cancellations, KeyboardInterrupt
            self._last(lambda observation: observation.cancel(error))
        else:
            now = self.now_ns()
            kind = error.kind if isinstance(error, RemoteError) else error
            self._last(lambda o: o.fail(kind, str(error), at_ns=(o.last_ns if outside else None) or now))

    def close_early(self) -> None:
        """It was closed before its end. No error."""
        self._last(StreamObservation.close_early)

    def abandon(self) -> None:
        """Nobody holds it any more. No error."""
        self._last(StreamObservation.abandon)

    def forget(self) -> None:
        """Let it never be told: it is another process's."""
        self.open = False

    def _last(self, how: Callable[[StreamObservation], object]) -> None:
        if self.open:
            self.begin(self._made_ns)  # a generator that nobody asked for a first item: a call that took no time
            if (observation := self.observation) is not None:
                guarded("item", self._catch_up)
                guarded("chunks", self._hand_over, observation)
                guarded("end", how, observation)

    def _hand_over(self, observation: StreamObservation) -> None:
        """Give the stamped items to the observation, unless the function marked its tokens itself."""
        if self.at_ns and not len(observation):
            kinds = array("B", bytes((TEXT,)) * len(self.at_ns))
            for index, kind in self.odd.items():
                kinds[index] = kind
            tokens = array("I", bytes(4 * len(kinds)))  # 0: not known, so one for each that bears any
            if self.tokens is not None and len(self.tokens) == len(kinds):
                tokens = array("I", self.tokens)
                observation.counted(sum(tokens))
            observation.mark_all(array("q", self.at_ns), kinds, tokens)
        if self.streamed or len(observation):
            observation.head.setdefault("stream", True)
        if self.texts:
            content.answered(observation, self.texts)

    def _finish(self, record: StreamRecord) -> None:
        """Tell of it: to this thread or task, to the sink, to the log, to whoever asked for the metrics."""
        if not self.open:
            return
        self.open = False
        self.context = Context()  # it held this call, and this call it
        in_flight.discard(self)
        self.finished = finished = Finished(record)
        if not self.gave_way:  # the call inside, which ended before, knows more
            remember(finished)
        if self._of_function is not None:
            self._of_function.set(finished)
        if self._sink is not None:
            guarded("record", self._sink.finish, self._handle, record)
        guarded("log", _log, finished)
        if self.options.tell is not None:
            guarded("tell", self.options.tell, self.instance, finished, self._value)
        if self.options.on_metrics is not None:
            guarded("on_metrics", lambda tell: tell(finished.metrics), self.options.on_metrics)


def _log(finished: Finished) -> None:
    if LOG.isEnabledFor(20):
        record, metrics = finished.record, finished.metrics
        LOG.info(
            "%s %s %s: %s",
            record.operation,
            record.model or "-",
            record.outcome,
            str(metrics).replace("\n", ", "),
            extra={"otel_llm": metrics},
        )
