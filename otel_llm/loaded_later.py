"""What a package offers by name and loads when it is first asked for, as not everyone needs it."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["loaded_later"]


def loaded_later(package: str, where: Mapping[str, tuple[str, str | None]]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package. where: name -> (module, name in it, or None for the module itself)."""

    def load(name: str) -> Any:
        """Load what is asked for by name; the next time it is found without us."""
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, attribute = where[name]
        found = import_module(module) if attribute is None else getattr(import_module(module), attribute)
        setattr(sys.modules[package], name, found)
        return found

    return load
