"""The contract of an adapter: what it may do to the calls of a library, and what it sees of a call."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from opentelemetry.context import Context

from otel_llm.generation import FinishedCall
from otel_llm.observation import StreamObservation
from otel_llm.record import NESTED, StreamRecord

__all__ = ["GOES_ON", "Arguments", "Hooks", "MeasuredCall"]

Arguments = tuple[tuple[Any, ...], Mapping[str, Any]]
"""Of a call: by position, and by keyword."""
GOES_ON: Final = object()
"""What `wrap` returns where the caller gets the result as it is, and the call is ended by the adapter later."""


class MeasuredCall(Protocol):
    """A call as hooks see it. None of its methods raises; after the first of its ends the others do nothing.

    instance:    the object whose method was called, None for a function
    observation: where the call's marks and facts go; None until the call has begun
    context:     OpenTelemetry's, in which the call's span is current
    outer:       the measured call around this one, None where there is none
    inside:      the records of the measured calls right inside this one that have ended, where it `keeps_inside`
    state:       the adapter's own, None until it sets it
    """

    instance: Any
    observation: StreamObservation | None
    context: Context
    inside: Sequence[StreamRecord]
    state: Any

    @property
    def outer(self) -> "MeasuredCall | None": ...

    def stand_in(self, result: Any, *, owner: bool = True) -> Any:
        """Return what the caller gets in place of a stream, manager or awaitable: it stamps what goes by.

        A value is returned as it is. owner: the call ends when nobody holds the stand-in any more
        """
        ...

    def note(self, item: Any) -> Any:
        """Return `item` of the call's stream, stamped as one that arrives now."""
        ...

    def give_way(self, flag: str = NESTED) -> bool:
        """Become a mere span, which is counted nowhere; return whether that can be done now. `flag` says why."""
        ...

    def returned(self, value: Any) -> None:
        """Note what the call returned, which ends it."""
        ...

    def end(self) -> None:
        """End the call as complete."""
        ...

    def close_early(self) -> None:
        """End the call as closed before its end. No error."""
        ...

    def broke(self, error: BaseException) -> None:
        """End the call by an exception; exhaustion and cancellation are exceptions too."""
        ...

    def forget(self) -> None:
        """Let the call never be told: there was none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What adapters and `BaseLLM` add to the options of a user.

    Before the call:
    describe:       (object, arguments by name) -> further fields of the record
    positional:     the names of arguments that may be given by position
    when:           whether a call is to be measured, asked each time
    only:           (object, arguments by position) -> whether it is a call of a model, where not all are
    prepare:        (call, args, kwargs) -> the arguments that are passed on, None for these; the call has begun

    Who is counted, see `counted`:
    one_per_object: a call inside a call on the same object is part of it, not a call of its own
    family:         a call inside a call of the same family is part of it, not a call of its own
    gives_way:      what is counted is the measured calls inside it, where there are any; else the call itself
    keeps_inside:   keep the records of the measured calls right inside it, for `result` to read

    Its result:
    wrap:           (call, result) -> what the caller gets in the result's place, None for the usual, `GOES_ON`
    result:         (call, what was returned) -> anything, in place of `answers.read_result`
    answer_in:      exception -> the answer that it carries, which is read as a result is; None where there is none
    counter:        object -> what counts the tokens of its results, None when it has no tokenizer
    tell:           (object, finished call, result) -> anything; called when the call has ended

    The items of its stream:
    item:           (item, observation) -> its kind, in place of `answers.kind_of`
    has_text:       item -> whether it holds text; lets most items go by unread, see `LazyReader`
    leaf:           neither the user's code nor another call runs in the steps of the stream: no context is attached
    inner:          stream -> the generator whose items it forwards unchanged, None where it does more; requires `leaf`
    """

    describe: Callable[[Any, Mapping[str, Any]], Mapping[str, Any]] | None = None
    positional: tuple[str, ...] = ()
    when: Callable[[], bool] | None = None
    only: Callable[[Any, tuple[Any, ...]], bool] | None = None
    prepare: Callable[[MeasuredCall, tuple[Any, ...], Mapping[str, Any]], Arguments | None] | None = None
    one_per_object: bool = False
    family: str | None = None
    gives_way: bool = False
    keeps_inside: bool = False
    wrap: Callable[[MeasuredCall, Any], Any] | None = None
    result: Callable[[MeasuredCall, Any], object] | None = None
    answer_in: Callable[[BaseException], Any] | None = None
    counter: Callable[[Any], Callable[[Any], int] | None] | None = None
    tell: Callable[[Any, FinishedCall, Any], object] | None = None
    item: Callable[[Any, StreamObservation], int] | None = None
    has_text: Callable[[Any], bool] | None = None
    leaf: bool = False
    inner: Callable[[Any], Any] | None = None
