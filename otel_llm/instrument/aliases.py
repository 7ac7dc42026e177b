"""Names that were bound early: `from litellm import completion` keeps the function, whatever its module says later.

All modules that are loaded are looked through for the function itself, and for methods bound to an object at import,
such as `ollama.chat`. What is kept elsewhere, in an object or a closure, cannot be found, and is not measured.
"""

import sys
from collections.abc import Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any

from otel_llm.instrument.patching import Place

__all__ = ["replace_early_bound"]


def replace_early_bound(measured: Mapping[int, tuple[Any, Any]]) -> list[Place]:
    """Let modules that hold an original hold the measured one. `measured`: id(original) -> (original, measured)."""
    places: list[Place] = []
    for module in list(sys.modules.values()):
        if not isinstance(module, ModuleType) or module.__name__.startswith("otel_llm."):
            continue
        for name, value in list(vars(module).items()):
            kind = type(value)
            if kind is FunctionType and id(value) in measured:
                places.append(Place(module, name, measured[id(value)][1]))
            elif kind is MethodType and id(value.__func__) in measured:
                owner = value.__self__
                bound = measured[id(value.__func__)][1].__get__(owner, type(owner))
                places.append(Place(module, name, bound))
    return places
