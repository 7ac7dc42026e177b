"""`metrics`: put it on a callable, and every call of it is measured; the callable and its results stay what they were.

Only what kind of function it is gets decided here: a coroutine function and a generator function begin to run when
they are first driven, any other when it is called. What the call gives is looked at in `settle`.
"""

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, Self, TypedDict, TypeVar, Unpack, overload

from otel_llm.generation import GenerationMetrics
from otel_llm.instrumentation.calls.call import Call, Finished
from otel_llm.instrumentation.calls.current import attach, detach, here, leave, suppressed
from otel_llm.instrumentation.calls.isolation import guarded, warm
from otel_llm.instrumentation.calls.options import Arguments, Options
from otel_llm.instrumentation.streams.settle import reported, settle

__all__ = ["Measured", "is_stopped", "measured", "measured_on", "metrics", "options_of", "stop"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Measured(Protocol[P, R_co]):
    """A decorated callable, as the type checker sees it: what it was, and `last_metrics`."""

    @property
    def last_metrics(self) -> GenerationMetrics | None:
        """The metrics of its last call in this thread or task, None before the first one."""
        ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(
        self: "Measured[Concatenate[Any, Q], R_co]", instance: object, owner: type | None = None
    ) -> "Measured[Q, R_co]": ...


class _Function:
    """A decorated callable. To `inspect`, `isinstance`, `pickle` and `copy` it is what it was.

    In the manner of wrapt, whose import alone would take half as long as everything else here.
    """

    __wrapped__: Any
    _self_measure: "_Measure"
    _self_instance: Any = None

    def __init__(self, function: Any, measure: "_Measure", instance: Any = None) -> None:
        functools.update_wrapper(self, function)
        self._self_measure, self._self_instance = measure, instance

    @property
    def last_metrics(self) -> GenerationMetrics | None:
        """The metrics of its last call in this thread or task, None before the first one."""
        last = self._self_measure.last.get()
        return None if last is None else last.metrics

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._self_measure(self.__wrapped__, self._self_instance, args, kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        bind = getattr(type(self.__wrapped__), "__get__", None)
        if bind is None:  # any other callable does not bind, and is found on a class as it is
            return self
        bound = bind(self.__wrapped__, instance, owner)
        if bound is self.__wrapped__:
            return self
        return _Function(bound, self._self_measure, getattr(bound, "__self__", instance))

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "__wrapped__"), name)

    @property  # type: ignore[misc]  # read-only, unlike object's
    def __class__(self) -> Any:
        return self.__wrapped__.__class__

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __eq__(self, other: object) -> bool:
        return bool(self.__wrapped__ == (other.__wrapped__ if type(other) is _Function else other))

    def __hash__(self) -> int:
        return hash(self.__wrapped__)

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self._self_instance is not None:
            return getattr, (self._self_instance, self.__wrapped__.__name__)
        return self.__wrapped__.__qualname__

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        if self._self_instance is None:
            return self
        instance = copy.deepcopy(self._self_instance, memo)  # whose method it then is
        return _Function(copy.deepcopy(self.__wrapped__, memo), self._self_measure, instance)


_PLAIN, _COROUTINE, _GENERATOR = range(3)


class _Measure:
    """What wrapt calls in place of the function."""

    __slots__ = ("last", "options", "shape", "stopped")

    def __init__(self, function: Callable[..., Any], options: Options) -> None:
        function = getattr(function, "__func__", function)  # of a static or class method
        self.options, self.stopped = options, False
        self.last: ContextVar[Finished | None] = ContextVar("otel_llm.last_of", default=None)
        if inspect.iscoroutinefunction(function):
            self.shape = _COROUTINE
        elif inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            self.shape = _GENERATOR
        else:
            self.shape = _PLAIN

    def __call__(self, function: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        call = guarded("call", self._call, instance, args, kwargs)
        if call is None:
            return function(*args, **kwargs)
        if self.shape == _COROUTINE:
            result: Any = _run(call, function, args, kwargs)
            result.__name__, result.__qualname__ = _names(function, result)
        elif self.shape == _GENERATOR:
            result = settle(call, function(*args, **kwargs))
        else:
            result = _made(call, function, args, kwargs)
        return reported(call, result) if self.options.returns == "report" else result

    def _call(self, instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call | None:
        """Return the call to be made, None when it is not to be measured."""
        options = self.options
        if self.stopped or suppressed() or (options.when is not None and not options.when()):
            return None
        if (outer := here()) is not None and options.part_of(outer, instance):
            return None
        return Call(self.options, instance, args, kwargs, self.last)


def _names(function: Callable[..., Any], run: Any) -> tuple[str, str]:
    return getattr(function, "__name__", run.__name__), getattr(function, "__qualname__", run.__qualname__)


def _prepared(call: Call, args: Any, kwargs: Any) -> Arguments:
    """Begin the call; return the arguments to make it with."""
    call.begin()
    prepare = call.options.prepare
    return (args, kwargs) if prepare is None else guarded("prepare", prepare, call, args, kwargs) or (args, kwargs)


def _made(call: Call, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Return the result of the call, made within its context."""
    args, kwargs = _prepared(call, args, kwargs)
    token = attach(call.context)
    try:
        result = function(*args, **kwargs)
    except BaseException as error:
        call.broke(error)
        raise
    finally:
        detach(token)
    return settle(call, result)


async def _run(call: Call, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Return the result of a coroutine function, which begins to run when this does."""
    args, kwargs = _prepared(call, args, kwargs)
    token = attach(call.context)
    try:
        result = await function(*args, **kwargs)
    except BaseException as error:
        call.broke(error)
        raise
    finally:
        leave(token)  # perhaps in another context: the collector may be what closes it
    return settle(call, result)


def measured(function: Any, options: Options) -> Any:
    """Return `function` with its calls measured as `options` say. A property has its getter measured."""
    if isinstance(function, property):
        getter = None if function.fget is None else measured(function.fget, options)
        return type(function)(getter, function.fset, function.fdel, function.__doc__)
    if isinstance(function, functools.cached_property):
        function.func = measured(function.func, options)
        return function
    return _Function(function, _Measure(function, options))


def measured_on(instance: Any, bound: Any, options: Options) -> Any:
    """Return `bound`, which belongs to `instance` however it came to it, with its calls measured."""
    return _Function(bound, _Measure(bound, options), instance)


class _Told(TypedDict, total=False):
    model: str | Callable[[Any], str | None] | None
    provider: str | None
    operation: str
    kind: Literal["client", "internal"]
    tokens: Callable[[Any], int] | None
    attributes: Mapping[str, Any] | None
    on_metrics: Callable[[GenerationMetrics], object] | None


class _Decorator(Protocol):
    def __call__(self, function: Callable[P, R], /) -> Measured[P, R]: ...


class _Reporter(Protocol):
    def __call__(self, function: Callable[P, Any], /) -> Measured[P, Any]: ...


@overload
def metrics(function: Callable[P, R], /) -> Measured[P, R]: ...
@overload
def metrics(*, returns: Literal["report"], **options: Unpack[_Told]) -> _Reporter: ...
@overload
def metrics(*, returns: Literal["result"] = "result", **options: Unpack[_Told]) -> _Decorator: ...
def metrics(
    function: Any = None,
    /,
    *,
    model: str | Callable[[Any], str | None] | None = None,
    provider: str | None = None,
    operation: str = "chat",
    kind: Literal["client", "internal"] = "internal",
    tokens: Callable[[Any], int] | None = None,
    attributes: Mapping[str, Any] | None = None,
    returns: Literal["result", "report"] = "result",
    on_metrics: Callable[[GenerationMetrics], object] | None = None,
) -> Any:
    """Measure every call of a function: a span, histograms, a log record at INFO, and `function.last_metrics`.

    Takes functions, methods, static and class methods, properties, coroutine functions, generators of both kinds and
    any other callable, and leaves them what they are: name, signature, result, laziness, exceptions. What is returned
    may be a stream of any kind; then the call lasts until that is exhausted, closed or let go of.

    model:      its name, or a function of the method's object; else the argument `model`, `self.model_name` or
                `self.model`, where that is a string
    provider:   who runs it, `gen_ai.provider.name`
    operation:  what is done, `gen_ai.operation.name`
    kind:       "internal" for a model in this process, "client" for one behind an endpoint
    tokens:     the number of tokens in a result, or in an item of a stream; without it a list of tokens is counted, a
                tensor has its size, `usage` is believed, and a non-empty item of a stream is one token
    attributes: what goes onto the span besides
    returns:    "result", or "report" for the text of the three measures in the result's place; a stream is then read
                to its end
    on_metrics: is given the `GenerationMetrics` of every call when it has ended
    """
    options = Options(
        model=model,
        provider=provider,
        operation=operation,
        kind=kind,
        tokens=tokens,
        attributes={} if attributes is None else attributes,
        returns=returns,
        on_metrics=on_metrics,
    )
    warm()
    return functools.partial(measured, options=options) if function is None else measured(function, options)


def options_of(function: Any) -> Options | None:
    """Return what a decorated function was told, None when it is not decorated."""
    return function._self_measure.options if type(function) is _Function else None


def stop(function: Any) -> None:
    """Measure no further call of a decorated callable, wherever it is still held."""
    function = function.fget if isinstance(function, property) else function
    if type(function) is _Function:
        function._self_measure.stopped = True


def is_stopped(function: Any) -> bool:
    """Return whether it is a decorated callable of which no call is measured any more."""
    return type(function) is _Function and function._self_measure.stopped
