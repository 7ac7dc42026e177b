"""`instrument` and `uninstrument`: measure what exists already, a class, an object or a module, and stop doing so."""

import inspect
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal, overload

from otel_llm.errors import ConfigError
from otel_llm.instrumentation.calls.decorator import measured, measured_on, options_of, stop
from otel_llm.instrumentation.calls.isolation import guarded, warm
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.patching.aliases import release_late_bound, replace_early_bound
from otel_llm.instrumentation.patching.places import Place, found, in_place, overrides

if TYPE_CHECKING:
    from otel_llm.generation import GenerationMetrics

__all__ = ["instrument", "places_of", "restore", "uninstrument"]

_LOCK: Final = threading.RLock()
_places: Final[list[tuple[int, Place]]] = []
"""With the id of what the caller instrumented, in the order in which they were made."""


@overload
def instrument(
    *, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None, propagate: bool = True
) -> None: ...
@overload
def instrument(
    target: Any,
    /,
    *names: str,
    model: str | Callable[[Any], str | None] | None = None,
    provider: str | None = None,
    operation: str = "chat",
    kind: Literal["client", "internal"] = "internal",
    tokens: Callable[[Any], int] | None = None,
    attributes: Mapping[str, Any] | None = None,
    on_metrics: "Callable[[GenerationMetrics], object] | None" = None,
) -> None: ...
def instrument(
    target: Any = None,
    /,
    *names: str,
    include: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    propagate: bool = True,
    **told: Any,
) -> None:
    """Measure every call of what exists already. Twice is as good as once.

    With nothing but `include`, `exclude` and `propagate`: every supported library that is installed, see
    `LLMInstrumentor`. Else the functions of `target` by their names, as `metrics` would, with its arguments:

    a class:   its methods, inherited ones too, and those of its subclasses, also of classes made later
    an object: its methods, of this object alone
    a module:  its functions, also where another module has imported them by name

    Raises ConfigError when a name is not there, or cannot be replaced.
    """
    if target is None:
        from otel_llm.instrumentation.libraries.instrumentor import LLMInstrumentor

        instrumentor = LLMInstrumentor()
        if not instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.instrument(include=include, exclude=exclude, propagate=propagate)
        return
    if isinstance(target, FunctionType):
        raise ConfigError(
            "a class, an object or a module", target, "give the module that has the function, and its name"
        )
    if not names:
        raise ConfigError("the names of functions", (), "such as instrument(TheirClass, 'generate')")
    warm()
    options = Options(**{name: value for name, value in told.items() if value is not None})
    with _LOCK:
        _places[:] = [entry for entry in _places if entry[1].owner is not None]
        _places.extend((id(target), place) for place in places_of(target, names, options))


def uninstrument(target: Any = None, /) -> None:
    """Put back the very same functions: those of `target`, or everything. What is not measured stays as it is."""
    if target is None and "otel_llm.instrumentation.libraries.instrumentor" in sys.modules:
        instrumentor = sys.modules["otel_llm.instrumentation.libraries.instrumentor"].LLMInstrumentor()
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()
    with _LOCK:
        mine = [entry for entry in _places if target is None or entry[0] == id(target)]
        restore([place for _, place in mine])
        _places[:] = [entry for entry in _places if entry not in mine]


def restore(places: Sequence[Place]) -> None:
    """Put back what stood at places; of what is still held elsewhere no call is measured any more."""
    for place in reversed(places):
        stop(place.now)
        place.restore()
    if places:
        release_late_bound()


def places_of(
    target: Any, names: Iterable[str], options: Options, *, early: bool = True, below: bool = True
) -> list[Place]:
    """Measure functions of a class, object or module.

    early: also where modules have bound them by name
    below: also what the subclasses of a class have of that name
    """
    places: list[Place] = []
    try:
        for name in names:
            if isinstance(target, type):
                places += _on_class(target, name, options) if below else _method(target, name, options)
            elif isinstance(target, ModuleType):
                places += _in_module(target, name, options)
            else:
                places += _on_object(target, name, options)
        if early and isinstance(target, type | ModuleType):
            places += replace_early_bound({id(o): (o, place.now) for place in places if (o := _function(place))})
    except BaseException:
        restore(places)  # all of it or nothing
        raise
    return places


def _function(place: Place) -> Any:
    before = place.before
    return before if isinstance(before, FunctionType) else None


def _in_module(module: ModuleType, name: str, options: Options) -> list[Place]:
    function = found(module, name)
    if _is_measured(function):
        return []
    return [Place(module, name, measured(function, _by_name(options, function)))]


def _on_class(cls: type, name: str, options: Options) -> list[Place]:
    options = replace(options, one_per_object=True)  # an override that calls its base, a method that calls another
    method = found(cls, name)
    classes = [] if getattr(method, "__isabstractmethod__", False) else [cls]
    places = [place for one in (*classes, *overrides(cls, name)) for place in _method(one, name, options)]
    return [*places, _on_later_subclasses(cls, name, options)]


def _method(cls: type, name: str, options: Options) -> list[Place]:
    method = found(cls, name)
    if _is_measured(method):  # here, or where it is inherited from
        return []
    if isinstance(method, property):
        return [Place(cls, name, measured(method, options))]
    return [Place(cls, name, measured(method, _by_name(options, method, bound=isinstance(method, staticmethod))))]


def _is_measured(function: Any) -> bool:
    return options_of(function.fget if isinstance(function, property) else function) is not None


def _on_later_subclasses(cls: type, name: str, options: Options) -> Place:
    """Let classes that are made below `cls` from now on have their own method of that name measured."""
    before = cls.__dict__.get("__init_subclass__")

    def __init_subclass__(sub: type[Any], /, **kwargs: Any) -> None:  # noqa: N807  # it becomes one
        if before is None:
            super(cls, sub).__init_subclass__(**kwargs)  # type: ignore[arg-type]  # mypy knows no cls
        else:
            before.__get__(None, sub)(**kwargs)
        if in_place(sub, name):
            guarded("subclass", _later, sub)

    def _later(sub: type) -> None:
        with _LOCK:
            _places.extend((id(cls), made) for made in _method(sub, name, options) if place.holds)

    place = Place(cls, "__init_subclass__", classmethod(__init_subclass__))
    return place


def _on_object(instance: Any, name: str, options: Options) -> list[Place]:
    if name.startswith("__") and name.endswith("__"):
        raise ConfigError("a name that is looked up on the object", name, f"instrument {type(instance).__name__}")
    bound = getattr(instance, name, None)
    if not callable(bound):
        raise ConfigError(f"a method of {type(instance).__name__}", name, "name one that is called")
    on_class = inspect.getattr_static(type(instance), name, None)
    if hasattr(type(on_class), "__set__"):
        raise ConfigError("a method that an object can replace", on_class, f"instrument {type(instance).__name__}")
    if options_of(bound) is not None:
        return []
    return [Place(instance, name, measured_on(instance, bound, _by_name(options, bound)))]


def _by_name(options: Options, function: Any, *, bound: bool = True) -> Options:
    """Return `options` with the names of the arguments that may be given by position, which may say the model."""
    if options.positional:
        return options
    try:
        parameters = inspect.signature(getattr(function, "__func__", function)).parameters.values()
    except (TypeError, ValueError):
        return options
    names = tuple(parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD)
    return replace(options, positional=names if bound and not inspect.ismethod(function) else names[1:])
