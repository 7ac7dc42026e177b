"""`metrics`: put it on a callable, and every call of it is measured; the callable and its results stay what they were.

Only what kind of function it is gets decided here: a coroutine function and a generator function begin to run when
they are first driven, any other when it is called. What the call gives is looked at by `Call.settle`.
"""

import copy
import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, Literal, ParamSpec, Self, TypeVar, Unpack, overload

from opentelemetry import context as otel
from opentelemetry.context import Context

from otel_llm.errors import ConfigError
from otel_llm.generation import FinishedCall, GenerationMetrics
from otel_llm.instrumentation.calls.attaching import attach, current_context, detach, leave
from otel_llm.instrumentation.calls.call import NO_HOOKS, Call, call_in
from otel_llm.instrumentation.calls.counted import is_part_of
from otel_llm.instrumentation.calls.hooks import Arguments, Hooks
from otel_llm.instrumentation.calls.isolation import guarded
from otel_llm.instrumentation.calls.options import OptionArguments, Options
from otel_llm.instrumentation.loading import load_telemetry
from otel_llm.instrumentation.measured import Decorator, Measured, Reporter
from otel_llm.instrumentation.streams.stand_ins import STAND_INS

__all__ = ["is_stopped", "measure", "measure_bound", "metrics", "said_of", "stop"]

P = ParamSpec("P")
R = TypeVar("R")


class _Function:
    """A decorated callable. To `inspect`, `isinstance`, `pickle` and `copy` it is what it was.

    In the manner of wrapt, whose import alone takes half as long as `import otel_llm`.
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
        if _is_pickled_by_value():  # it would be taken apart like any function, and put together without us
            return _Function
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
        if _is_pickled_by_value() and not self._is_importable():
            return _measure_again, (self.__wrapped__, self._self_measure.options, self._self_measure.hooks)
        return self.__wrapped__.__qualname__

    def _is_importable(self) -> bool:
        """Return whether another process finds it by its name."""
        found: Any = None if self.__module__ == "__main__" else sys.modules.get(self.__module__)
        for name in self.__qualname__.split("."):
            found = getattr(found, name, None)
        return found is self

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        if self._self_instance is None:
            return self
        instance = copy.deepcopy(self._self_instance, memo)  # whose method it then is
        return _Function(copy.deepcopy(self.__wrapped__, memo), self._self_measure, instance)


def _is_pickled_by_value() -> bool:
    """Return whether it is cloudpickle (also as Ray, Spark and joblib have it inside) that asks our caller."""
    return "cloudpickle" in sys._getframe(2).f_globals.get("__name__", "")


def _measure_again(function: Any, options: Options, hooks: Hooks) -> Any:
    """Return a function that came from another process, measured as it was there."""
    load_telemetry()
    return measure(function, options, hooks)


_PLAIN, _COROUTINE, _GENERATOR = range(3)
_SUPPRESSED: Final = getattr(otel, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")


class _Measure:
    """What a decorated callable does in place of the function: one for all of its calls."""

    __slots__ = ("hooks", "last", "options", "shape", "stopped")

    def __init__(self, function: Callable[..., Any], options: Options, hooks: Hooks) -> None:
        function = getattr(function, "__func__", function)  # of a static or class method
        self.options, self.hooks, self.stopped = options, hooks, False
        self.last: ContextVar[FinishedCall | None] = ContextVar("otel_llm.last_of", default=None)
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
            if self.hooks.prepare is not None:  # it takes a call that has begun
                args, kwargs = _begin(call, args, kwargs)
            result = call.settle(function(*args, **kwargs))
        else:
            result = _make(call, function, args, kwargs)
        return _report(call, result) if self.options.returns == "report" else result

    def _call(self, instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call | None:
        """Return the call to be made, None when it is not to be measured."""
        context, hooks = current_context(), self.hooks
        if self.stopped or _is_suppressed(context) or (hooks.when is not None and not hooks.when()):
            return None
        if hooks.only is not None and not hooks.only(instance, args):
            return None
        outer = call_in(context)
        if outer is not None and is_part_of(outer, hooks, instance):
            return None
        return Call(self.options, hooks, context, outer, instance, args, kwargs, last=self.last, stand_ins=STAND_INS)


def _is_suppressed(context: Context) -> bool:
    """Return whether somebody asked that nothing be instrumented here, by either key that OpenTelemetry knows."""
    return bool(context and (context.get(_SUPPRESSED) or context.get("suppress_instrumentation")))


def _names(function: Callable[..., Any], run: Any) -> tuple[str, str]:
    return getattr(function, "__name__", run.__name__), getattr(function, "__qualname__", run.__qualname__)


def _begin(call: Call, args: Any, kwargs: Any) -> Arguments:
    """Begin the call; return the arguments to make it with."""
    call.begin()
    prepare = call.hooks.prepare
    return (args, kwargs) if prepare is None else guarded("prepare", prepare, call, args, kwargs) or (args, kwargs)


def _make(call: Call, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Return the result of the call, made within its context."""
    args, kwargs = _begin(call, args, kwargs)
    token = attach(call.context)
    try:
        result = function(*args, **kwargs)
    except BaseException as error:
        call.broke(error)
        raise
    finally:
        detach(token)
    return call.settle(result)


async def _run(call: Call, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Return the result of a coroutine function, which begins to run when this does."""
    args, kwargs = _begin(call, args, kwargs)
    token = attach(call.context)
    try:
        result = await function(*args, **kwargs)
    except BaseException as error:
        call.broke(error)
        raise
    finally:
        leave(token)  # perhaps in another context: the collector may be what closes it
    return call.settle(result)


def _report(call: Call, result: Any) -> Any:
    """Return the text of the call's metrics in its result's place; of an asynchronous call, a coroutine of it."""
    if hasattr(type(result), "__await__") or hasattr(type(result), "__aiter__"):
        return _report_later(call, result)
    if hasattr(type(result), "__next__") and call.open:
        for _ in result:
            pass
    return _text(call)


async def _report_later(call: Call, result: Any) -> str | None:
    if hasattr(type(result), "__await__"):
        result = await result
    if hasattr(type(result), "__aiter__") and call.open:
        async for _ in result:
            pass
    return _text(call)


def _text(call: Call) -> str | None:
    return None if call.finished is None else str(call.finished.metrics)


def measure(function: Any, options: Options, hooks: Hooks = NO_HOOKS) -> Any:
    """Return `function` with its calls measured as `options` say. A property has its getter measured.

    Raises ConfigError for a class: only its construction would be measured. `list` and its like do what functions do.
    """
    if isinstance(function, type) and function.__module__ != "builtins":
        name = function.__name__
        raise ConfigError("a function", function, f"decorate its methods, or write otel_llm.instrument({name}, 'run')")
    if isinstance(function, property):
        getter = None if function.fget is None else measure(function.fget, options, hooks)
        return type(function)(getter, function.fset, function.fdel, function.__doc__)
    if isinstance(function, functools.cached_property):
        function.func = measure(function.func, options, hooks)
        return function
    return _Function(function, _Measure(function, options, hooks))


def measure_bound(instance: Any, bound: Any, options: Options, hooks: Hooks) -> Any:
    """Return `bound`, which belongs to `instance` however it came to it, with its calls measured."""
    return _Function(bound, _Measure(bound, options, hooks), instance)


@overload
def metrics(function: Callable[P, R], /) -> Measured[P, R]: ...
@overload
def metrics(*, returns: Literal["report"], **options: Unpack[OptionArguments]) -> Reporter: ...
@overload
def metrics(*, returns: Literal["result"] = "result", **options: Unpack[OptionArguments]) -> Decorator: ...
def metrics(function: Any = None, /, **options: Any) -> Any:
    """Measure every call of a function: a span, histograms, a log record at INFO, and `function.last_metrics`.

    Takes functions, methods, static and class methods, properties, coroutine functions, generators of both kinds and
    any other callable, and leaves them what they are: name, signature, result, laziness, exceptions. What is returned
    may be a stream of any kind; then the call lasts until that is exhausted, closed or let go of.

    model:      its name, or a function of the method's object; else the argument `model`, `self.model_name` or
                `self.model`, where that is a string
    provider:   who runs it, `gen_ai.provider.name`
    operation:  what is done, `gen_ai.operation.name`; "chat" by default
    kind:       "internal" (the default) for a model in this process, "client" for one behind an endpoint
    tokens:     the number of tokens in a result, or in an item of a stream; without it a list of tokens is counted, a
                tensor has its size, `usage` is believed, and a non-empty item of a stream is one token
    attributes: what goes onto the span besides
    returns:    "result" (the default), or "report" for the text of the three measures in the result's place; a stream
                is then read to its end
    on_metrics: is given the `GenerationMetrics` of every call when it has ended

    Raises TypeError for any other argument, and ConfigError for a class or a name in the function's place.
    """
    if isinstance(function, str):
        raise ConfigError("a function", function, f"write @otel_llm.metrics(model={function!r})")
    said = Options.given("metrics", options)
    load_telemetry()
    return functools.partial(measure, options=said) if function is None else measure(function, said)


def said_of(function: Any) -> tuple[Options, Hooks] | None:
    """Return what was said of the calls of a measured callable, None when it is not measured."""
    return (function._self_measure.options, function._self_measure.hooks) if type(function) is _Function else None


def stop(function: Any) -> None:
    """Measure no further call of a decorated callable, wherever it is still held."""
    function = function.fget if isinstance(function, property) else function
    if type(function) is _Function:
        function._self_measure.stopped = True


def is_stopped(function: Any) -> bool:
    """Return whether it is a decorated callable of which no call is measured any more."""
    return type(function) is _Function and function._self_measure.stopped
