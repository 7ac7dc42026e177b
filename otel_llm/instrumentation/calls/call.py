"""One measured call from its start to its end: an observation, a span and a context, told once when it is over.

Nothing here raises: what telemetry cannot do is logged once and left undone, and the call itself goes on.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, Protocol, cast

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context

from otel_llm.conventions import CAPTURE_CONTENT, COMPLETION_HOOK
from otel_llm.errors import RemoteError
from otel_llm.generation import LAST, FinishedCall
from otel_llm.instrumentation.calls import answers, counted, in_flight
from otel_llm.instrumentation.calls.content import Content, content_of
from otel_llm.instrumentation.calls.destination import DESTINATION, LOG, CallSink
from otel_llm.instrumentation.calls.hooks import GOES_ON, Hooks
from otel_llm.instrumentation.calls.isolation import guarded
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.calls.stream_items import StreamItems
from otel_llm.observation import StreamObservation
from otel_llm.process.ending import ENDING
from otel_llm.record import NESTED, StreamRecord

__all__ = ["NO_HOOKS", "Call", "call_in"]

NO_HOOKS: Final = Hooks()
_CALL: Final = otel.create_key("otel_llm.call")
_NONE: Final[Mapping[str, Any]] = {}
_ENVIRONMENT: Final[Any] = getattr(os.environ, "_data", os.environ)
"""The dict inside, under the system's own spelling: `os.environ` takes 2 µs to say that a variable is not set."""
_CONTENT: Final = [
    name if _ENVIRONMENT is os.environ else os.environ.encodekey(name) for name in (CAPTURE_CONTENT, COMPLETION_HOOK)
]


def call_in(context: Context) -> "Call | None":
    """Return the call that is under way in `context`, None when there is none or it has ended."""
    call = cast("Call | None", context.get(_CALL))
    return call if call is not None and call.open else None


class StandIns(Protocol):
    """The classes whose objects stand for results of a type: see `otel_llm.instrumentation.streams.stand_ins`."""

    def __getitem__(self, kind: type) -> Callable[..., Any] | None:
        """Return the class for results of a type, None where those are values. Raises KeyError where it is not made."""
        ...

    def make(self, kind: type) -> Callable[..., Any] | None:
        """Make the class for results of a type, and return it; None where those are values."""
        ...


class Call:
    """A call that is about to be made. It becomes current with `context`, and ends once, by the first of its ends.

    It is the `MeasuredCall` of adapters, and what the stand-in of its result drives. Exactly once is the observation's
    promise; `open` mirrors it, and is also taken back where another process is to tell of the call (`forget`).
    """

    __slots__ = (
        "_content",
        "_head",
        "_last_of_function",
        "_made_ns",
        "_opened",
        "_result",
        "_sink",
        "_stand_ins",
        "context",
        "finished",
        "gave_way",
        "hooks",
        "inside",
        "instance",
        "items",
        "nested",
        "now_ns",
        "observation",
        "open",
        "options",
        "outer",
        "state",
        "streamed",
    )

    def __init__(
        self,
        options: Options,
        hooks: Hooks,
        context: Context,
        outer: "Call | None",
        instance: Any = None,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] = _NONE,
        *,
        last: "ContextVar[FinishedCall | None] | None" = None,
        stand_ins: StandIns | None = None,
    ) -> None:
        """Note what is known before the call.

        context, outer: those around the call
        last:           is set to the call when it has ended, beside `LAST`
        stand_ins:      the classes whose objects stand for streams, managers and awaitables; None: all is a value
        """
        self.options, self.hooks, self.instance = options, hooks, instance
        self.context, self.outer = context, outer
        self._last_of_function, self._stand_ins = last, stand_ins
        self.observation: StreamObservation | None = None
        self.finished: FinishedCall | None = None
        self.items: StreamItems | None = None
        self.inside: Sequence[StreamRecord] = ()
        self.state: Any = None  # an adapter's own, from `prepare` on
        self.open, self.streamed = True, False
        self.now_ns = DESTINATION.clock.now_ns
        self._made_ns = self.now_ns()
        self._head: dict[str, Any] = guarded("head", _head, options, hooks, instance, args, kwargs) or {}
        self.gave_way, self.nested = False, outer is not None and counted.is_nested(outer)
        if self.nested:
            self._head["flags"] = (NESTED,)
        self._content: Content | None = None
        if not _ENVIRONMENT.keys().isdisjoint(_CONTENT):
            self._content = guarded("content", content_of, args, kwargs)
        self._sink: CallSink | None = None
        self._opened: Any = None
        self._result: Any = None

    # -- the start ---------------------------------------------------------------------------------------------

    def begin(self, at_ns: int | None = None) -> None:
        """Start the clock, the span and the call's own context, unless that was done."""
        if self.observation is None:
            if DESTINATION.sink is None:  # before the clock starts: what is made once is no part of a call
                guarded("sink", DESTINATION.open_sink)
            self.observation = StreamObservation(self._finish, clock=DESTINATION.clock, sent_ns=at_ns, **self._head)
            guarded("open", self._open, self.observation)
            in_flight.OPEN.add(self)

    def _open(self, observation: StreamObservation) -> None:
        within = self.context
        try:
            self._sink = DESTINATION.sink or DESTINATION.open_sink()
            self._opened = self._sink.start(self._head, observation.sent_ns, within)
            within = self._opened.context
        finally:
            self.context = otel.set_value(_CALL, self, within)
        own = self._opened.span.get_span_context()
        if own.is_valid:
            observation.set(trace_id=trace.format_trace_id(own.trace_id), span_id=trace.format_span_id(own.span_id))
        if own.is_valid or in_flight.told_before is None:  # else there is no SDK yet, whose end is to be seen to
            provider = trace.get_tracer_provider()
            if provider is not in_flight.told_before:
                in_flight.tell_at_exit_before(provider)

    def give_way(self, flag: str = NESTED) -> bool:
        """Become a mere span, which is counted nowhere; return whether that can be done now. `flag` says why."""
        if self.observation is None or self._sink is None:
            return False
        self.observation.set(flags=(*self.observation.head.get("flags", ()), flag))
        self.uncount()
        return True

    def uncount(self) -> None:
        """Count it no more as under way, nor anywhere when it ends."""
        if self._sink is not None and self._opened is not None:
            guarded("uncount", self._sink.uncount, self._opened)

    # -- what it brings ----------------------------------------------------------------------------------------

    def stream_items(self) -> StreamItems:
        """Return where the items of its stream are noted. The call has begun by then."""
        if self.items is None:
            self.begin()
            hooks, observation = self.hooks, cast("StreamObservation", self.observation)
            keep = None if self._content is None else self._content.take
            self.items = StreamItems(observation, hooks.item, hooks.has_text, self.options.tokens, keep)
        return self.items

    def note(self, item: Any) -> Any:
        """Return `item`, stamped as one that arrives now."""
        items = self.stream_items()
        items.at_ns.append(self.now_ns())
        items.take(item)
        return item

    def stand_in(self, result: Any, *, owner: bool = True) -> Any:
        """Return what the caller gets in place of a stream, manager or awaitable; a value is returned as it is."""
        made = None if self._stand_ins is None else guarded("stand-in", self._make_stand_in, result, owner)
        return result if made is None else made

    def _make_stand_in(self, result: Any, owner: bool) -> Any:
        stand_ins = cast("StandIns", self._stand_ins)
        try:
            kind = stand_ins[type(result)]
        except KeyError:
            kind = stand_ins.make(type(result))
        return None if kind is None else kind(result, self, owner=owner)

    def settle(self, result: Any) -> Any:
        """Return `result`, or what stands for it where the call goes on in it; a value ends the call.

        Decided on what was returned, not on the function that returned it: a `def` may return a coroutine, and a
        coroutine may resolve to a stream. A future is the caller's to cancel, so nothing stands for it.
        """
        if (wrap := self.hooks.wrap) is not None and (made := guarded("wrap", wrap, self, result)) is not None:
            return result if made is GOES_ON else made
        if (made := self.stand_in(result)) is not result:
            return made
        if hasattr(type(result), "add_done_callback"):
            result.add_done_callback(lambda future: guarded("future", self._resolve, future))
        else:
            self.returned(result)
        return result

    def _resolve(self, future: Any) -> None:
        try:
            value = future.result()
        except BaseException as error:
            self.broke(error)
        else:
            self.returned(value)

    def returned(self, value: Any) -> None:
        """Note what the call returned, which ends it."""
        if self.observation is None or not self.open:
            return
        now = self.now_ns()
        self._take_answer(value, self.observation)
        self._conclude(lambda observation: observation.end(now))

    def _take_answer(self, value: Any, observation: StreamObservation) -> None:
        guarded("result", self._read_result, value, observation)
        if self._content is not None:
            guarded("content", self._content.take, value)

    def _read_result(self, value: Any, observation: StreamObservation) -> None:
        count, hooks = self.options.tokens, self.hooks
        if count is None and hooks.counter is not None and isinstance(value, str):
            count = hooks.counter(self.instance)
        self._result = value if hooks.tell is not None else None
        if hooks.result is not None and count is None:
            hooks.result(self, value)
        else:
            answers.read_result(value, observation, count)

    # -- its ends ----------------------------------------------------------------------------------------------

    def end(self) -> None:
        """It is complete."""
        now = self.now_ns()
        self._conclude(lambda observation: observation.end(now))

    def broke(self, error: BaseException, *, outside: bool = False) -> None:
        """An exception came out of it; exhaustion and cancellation are exceptions too.

        outside: it was the consumer's, between two items, so the stream is unfinished and ends at its last chunk
        """
        if isinstance(error, StopIteration | StopAsyncIteration):
            self.end()
        elif isinstance(error, GeneratorExit):
            self.close_early()
        elif not isinstance(error, Exception):  # asyncio's, trio's and gevent's cancellations, KeyboardInterrupt
            self._conclude(lambda observation: observation.cancel(error))
        else:
            now = self.now_ns()
            kind = error.kind if isinstance(error, RemoteError) else error
            self._take_answer_in(error)
            self._conclude(lambda o: o.fail(kind, str(error), at_ns=(o.last_ns if outside else None) or now))

    def _take_answer_in(self, error: BaseException) -> None:
        """Read the answer that `error` carries. That of a stream is made of items that were read as they came."""
        answer_in, observation = self.hooks.answer_in, self.observation
        if answer_in is None or observation is None or self.items is not None or not self.open:
            return
        if (answer := guarded("answer in an error", answer_in, error)) is not None:
            self._take_answer(answer, observation)

    def close_early(self) -> None:
        """It was closed before its end. No error."""
        self._conclude(StreamObservation.close_early)

    def abandon(self) -> None:
        """Nobody holds it any more. No error."""
        self._conclude(StreamObservation.abandon)

    def forget(self) -> None:
        """Let it never be told: it is another process's, or was none after all."""
        self.open = False
        in_flight.OPEN.discard(self)
        self.uncount()

    def _conclude(self, how: Callable[[StreamObservation], object]) -> None:
        """Hand over what came, and end the observation; `_finish` is then called by it, once."""
        if self.open:
            self.begin(self._made_ns)  # a generator that nobody asked for a first item: a call that took no time
            if (observation := self.observation) is not None:
                guarded("chunks", self._hand_over, observation)
                guarded("end", how, observation)

    def _hand_over(self, observation: StreamObservation) -> None:
        """Give the stamped items to the observation, unless the function marked its tokens itself."""
        if self.items is not None:
            self.items.finish()
            if self.items.at_ns and not len(observation):
                self.items.hand_over(observation)
        if self.streamed or len(observation):
            observation.head.setdefault("stream", True)
        if self._content is not None:
            guarded("content", self._content.put, observation)

    def _finish(self, record: StreamRecord) -> None:
        """Tell of it: to this thread or task, to the sink, to the log, and to `on_metrics`."""
        if not self.open:
            return
        self.open = False
        if self._content is not None:
            span = None if self._opened is None else self._opened.span
            guarded("content", self._content.tell, record, self.context, span)
        self.context = Context()  # breaks the reference cycle: it held this call
        in_flight.OPEN.discard(self)
        self.finished = finished = FinishedCall(record)
        if self.outer is not None and self.outer.hooks.keeps_inside:
            self.outer.inside = (*self.outer.inside, record)
        if not self.gave_way:  # else the inner call's metrics are better, and were remembered already
            LAST.set(finished)
        if self._last_of_function is not None:
            self._last_of_function.set(finished)
        if self._sink is not None:
            guarded("record", self._sink.finish, self._opened, record)
        if LOG.isEnabledFor(20):
            guarded("log", _log, finished)
        if self.hooks.tell is not None:
            guarded("tell", self.hooks.tell, self.instance, finished, self._result)
        if self.options.on_metrics is not None:
            guarded("on_metrics", lambda tell: tell(finished.metrics), self.options.on_metrics)
        if ENDING.after_call is not None:
            guarded("export", ENDING.after_call)


def _head(
    options: Options, hooks: Hooks, instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the fields of the record that are known before the call: operation, model, provider, ..."""
    if args and hooks.positional:
        kwargs = {**dict(zip(hooks.positional, args, strict=False)), **kwargs}
    model = options.model
    head: dict[str, Any] = {
        "operation": options.operation,
        "provider": options.provider,
        "kind": options.kind,
        "model": model(instance) if callable(model) else model or _find_model(instance, kwargs),
    }
    if options.attributes:
        head["attributes"] = dict(options.attributes)
    if hooks.describe is not None:
        head.update(hooks.describe(instance, kwargs))
    return head


def _find_model(instance: Any, kwargs: Mapping[str, Any]) -> str | None:
    """Return the model's name where it usually stands: the argument `model`, `self.model_name`, `self.model`."""
    for name in (kwargs.get("model"), getattr(instance, "model_name", None), getattr(instance, "model", None)):
        if isinstance(name, str) and name:
            return name
    return None


def _log(finished: FinishedCall) -> None:
    record, metrics = finished.record, finished.metrics
    LOG.info(
        "%s %s %s: %s",
        record.operation,
        record.model or "-",
        record.outcome,
        str(metrics).replace("\n", ", "),
        extra={"otel_llm": metrics},
    )
