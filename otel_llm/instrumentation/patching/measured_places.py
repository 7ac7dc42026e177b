"""Functions of a class, an object or a module replaced by measured ones, and put back."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from types import FunctionType, ModuleType
from typing import Any

from otel_llm.errors import ConfigError
from otel_llm.instrumentation.calls.hooks import Hooks
from otel_llm.instrumentation.calls.isolation import guarded
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.decorator import is_stopped, measure, measure_bound, said_of, stop
from otel_llm.instrumentation.patching.aliases import release_late_bound, replace_early_bound
from otel_llm.instrumentation.patching.place import Place, defines, find_callable, find_overrides

__all__ = ["measured_as", "put_measured", "restore"]


def restore(places: Sequence[Place]) -> None:
    """Put back what stood at places; of what is still held elsewhere no call is measured any more."""
    for place in reversed(places):
        stop(place.now)
        place.restore()
    if places:
        release_late_bound(is_stopped)


def put_measured(
    target: Any,
    names: Iterable[str],
    options: Options,
    hooks: Hooks,
    later: Callable[[Sequence[Place]], object],
    *,
    early: bool = True,
    below: bool = True,
) -> list[Place]:
    """Measure functions of a class, object or module; return the places where measured ones stand now.

    later: is given the places in subclasses that are made from now on, as they are made
    early: also where modules have bound them by name
    below: also what the subclasses of a class have of that name

    Raises ConfigError when a name is not there, or cannot be replaced; then nothing has changed.
    """
    places: list[Place] = []
    try:
        for name in names:
            if isinstance(target, type) and below:
                places += _on_class(target, name, options, hooks, later)
            elif isinstance(target, type):
                places += _on_one_class(target, name, options, hooks)
            elif isinstance(target, ModuleType):
                places += _in_module(target, name, options, hooks)
            else:
                places += _on_object(target, name, options, hooks)
        if early and isinstance(target, type | ModuleType):
            places += replace_early_bound({id(o): (o, place.now) for place in places if (o := _function(place))})
    except BaseException:
        restore(places)  # all of it or nothing
        raise
    return places


def _function(place: Place) -> Any:
    before = place.before
    return before if isinstance(before, FunctionType) else None


def _in_module(module: ModuleType, name: str, options: Options, hooks: Hooks) -> list[Place]:
    function = find_callable(module, name)
    if _is_measured(function):
        return []
    return [Place(module, name, measure(function, options, _with_names(hooks, function)))]


def _on_class(
    cls: type, name: str, options: Options, hooks: Hooks, later: Callable[[Sequence[Place]], object]
) -> list[Place]:
    hooks = replace(hooks, one_per_object=True)  # an override that calls its base, a method that calls another
    method = find_callable(cls, name)
    classes = [] if getattr(method, "__isabstractmethod__", False) else [cls]
    found = [_on_one_class(one, name, options, hooks) for one in (*classes, *find_overrides(cls, name))]
    return [*chain.from_iterable(found), _on_later_subclasses(cls, name, options, hooks, later)]


def _on_one_class(cls: type, name: str, options: Options, hooks: Hooks) -> list[Place]:
    method = find_callable(cls, name)
    if _is_measured(method):  # here, or where it is inherited from
        return []
    if isinstance(method, property):
        return [Place(cls, name, measure(method, options, hooks))]
    hooks = _with_names(hooks, method, bound=isinstance(method, staticmethod))
    return [Place(cls, name, measure(method, options, hooks))]


def _is_measured(function: Any) -> bool:
    return _said(function) is not None


def _said(function: Any) -> tuple[Options, Hooks] | None:
    return said_of(function.fget if isinstance(function, property) else function)


def measured_as(target: Any, name: str) -> Options | None:
    """Return what is said of a function of a class, object or module that is measured; None when it is not."""
    is_namespace = isinstance(target, type | ModuleType)
    said = _said(find_callable(target, name) if is_namespace else getattr(target, name, None))
    return None if said is None else said[0]


def _on_later_subclasses(
    cls: type, name: str, options: Options, hooks: Hooks, later: Callable[[Sequence[Place]], object]
) -> Place:
    """Let classes that are made below `cls` from now on have their own method of that name measured."""
    before = cls.__dict__.get("__init_subclass__")

    def __init_subclass__(sub: type[Any], /, **kwargs: Any) -> None:  # noqa: N807  # it becomes one
        if before is None:
            super(cls, sub).__init_subclass__(**kwargs)  # type: ignore[arg-type]  # mypy knows no cls
        else:
            before.__get__(None, sub)(**kwargs)
        if place.holds and defines(sub, name):
            guarded("subclass", lambda: later(_on_one_class(sub, name, options, hooks)))

    place = Place(cls, "__init_subclass__", classmethod(__init_subclass__))
    return place


def _on_object(instance: Any, name: str, options: Options, hooks: Hooks) -> list[Place]:
    if name.startswith("__") and name.endswith("__"):
        raise ConfigError("a name that is looked up on the object", name, f"instrument {type(instance).__name__}")
    bound = getattr(instance, name, None)
    if not callable(bound):
        raise ConfigError(f"a method of {type(instance).__name__}", name, "name one that is called")
    on_class = inspect.getattr_static(type(instance), name, None)
    if hasattr(type(on_class), "__set__"):
        raise ConfigError("a method that an object can replace", on_class, f"instrument {type(instance).__name__}")
    if said_of(bound) is not None:
        return []
    return [Place(instance, name, measure_bound(instance, bound, options, _with_names(hooks, bound)))]


def _with_names(hooks: Hooks, function: Any, *, bound: bool = True) -> Hooks:
    """Return `hooks` with the names of the arguments that may be given by position, which may say the model."""
    if hooks.positional:
        return hooks
    try:
        parameters = inspect.signature(getattr(function, "__func__", function)).parameters.values()
    except (TypeError, ValueError):
        return hooks
    names = tuple(parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD)
    return replace(hooks, positional=names if bound and not inspect.ismethod(function) else names[1:])
