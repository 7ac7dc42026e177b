"""Names that were bound early: `from litellm import completion` keeps the function, whatever its module says later.

All modules that are loaded are looked through for the function itself, and for methods bound to an object at import,
such as `ollama.chat`. What is kept elsewhere, in an object or a closure, cannot be found, and is not measured; nor is
what was kept there while it was measured, once that has stopped.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any

from otel_llm.instrumentation.patching.place import Place

__all__ = ["release_late_bound", "replace_early_bound"]


def replace_early_bound(measured: Mapping[int, tuple[Any, Any]]) -> list[Place]:
    """Let modules that hold an original hold the measured one. `measured`: id(original) -> (original, measured)."""
    places: list[Place] = []
    for module in _modules():
        for name, value in list(vars(module).items()):
            kind = type(value)
            if kind is FunctionType and id(value) in measured:
                places.append(Place(module, name, measured[id(value)][1]))
            elif kind is MethodType and id(value.__func__) in measured:
                owner = value.__self__
                bound = measured[id(value.__func__)][1].__get__(owner, type(owner))
                places.append(Place(module, name, bound))
    return places


def release_late_bound(is_stopped: Callable[[Any], bool]) -> None:
    """Restore the original in modules that imported a measured function by name; `is_stopped` knows those functions."""
    for module in _modules():
        for name, value in list(vars(module).items()):
            if is_stopped(value):
                vars(module)[name] = value.__wrapped__


def _modules() -> Iterator[ModuleType]:
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType) and not module.__name__.startswith("otel_llm."):
            yield module
