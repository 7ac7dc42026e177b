"""Measured callables in the place of those that exist already, and the very same objects back again.

A place is a name on a class, or in the namespace of an object or a module. What stood there is kept as it was found,
without binding it, so that what is put back is the same object and not an equal one.
"""

import inspect
import weakref
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final

from otel_llm.errors import ConfigError

__all__ = ["ABSENT", "Place", "defines", "find_callable", "find_overrides", "package_of"]

ABSENT: Final[Any] = object()
"""What stands on a class that inherits the name."""


def _namespace(owner: Any) -> dict[str, Any]:
    """Return the names of an object or module. Raises ConfigError where an object has no room for any."""
    try:
        names: dict[str, Any] = vars(owner)
    except TypeError:
        raise ConfigError(
            "an object that can be given attributes", owner, "instrument its class, which measures all its objects"
        ) from None
    return names


def _own(owner: Any, name: str) -> Any:
    return (owner.__dict__ if isinstance(owner, type) else _namespace(owner)).get(name, ABSENT)


class Place:
    """A name of an owner at which something of ours stands. An object is not kept alive by its places."""

    __slots__ = ("_now", "_owner", "before", "name")

    def __init__(self, owner: Any, name: str, now: Any) -> None:
        self._owner, self._now = _reference(owner, owner), _reference(owner, now)
        self.name, self.before = name, _own(owner, name)
        if isinstance(owner, type):
            try:
                setattr(owner, name, now)
            except TypeError as error:
                raise ConfigError(
                    f"a class written in Python, for {name}", error, "subclass it, instrument that"
                ) from None
        else:
            _namespace(owner)[name] = now

    @property
    def owner(self) -> Any:
        """Whose name it is, None when that is gone."""
        return self._owner()

    @property
    def now(self) -> Any:
        """What was put there, None when that is gone."""
        return self._now()

    @property
    def holds(self) -> bool:
        """Whether what was put there still stands there."""
        owner = self._owner()
        return owner is not None and _own(owner, self.name) is self._now()

    def restore(self) -> None:
        """Put back what stood there, unless somebody has put another thing there meanwhile."""
        if not self.holds:
            return
        owner = self._owner()
        if not isinstance(owner, type):
            if self.before is ABSENT:
                del _namespace(owner)[self.name]
            else:
                _namespace(owner)[self.name] = self.before
        elif self.before is ABSENT:
            delattr(owner, self.name)
        else:
            setattr(owner, self.name, self.before)


def _reference(owner: Any, thing: Any) -> Callable[[], Any]:
    """Return what gives `thing`, which is kept alive unless it belongs to an object."""
    if not isinstance(owner, type | ModuleType):
        try:
            return weakref.ref(thing)
        except TypeError:
            pass
    return lambda: thing


def find_callable(owner: Any, name: str) -> Any:
    """Return what `name` stands for on a class or in a module, unbound. Raises ConfigError when it cannot be called."""
    value = _own(owner, name) if isinstance(owner, ModuleType) else inspect.getattr_static(owner, name, ABSENT)
    what = f"a function of {owner.__name__}"
    if value is ABSENT:
        raise ConfigError(what, name, f"it has {', '.join(_callables(owner)) or 'none'}")
    if not (callable(value) or isinstance(value, staticmethod | classmethod | property)):
        raise ConfigError(what, value, "name one that is called")
    return value


def _callables(owner: Any) -> list[str]:
    names = vars(owner) if isinstance(owner, ModuleType) else dir(owner)
    return sorted(name for name in names if not name.startswith("_") and callable(getattr(owner, name, None)))


def defines(owner: type, name: str) -> bool:
    """Return whether a class defines the name itself, as something that can be called."""
    value = owner.__dict__.get(name, ABSENT)
    return value is not ABSENT and not getattr(value, "__isabstractmethod__", False)


def find_overrides(cls: type, name: str) -> Iterator[type]:
    """Give the classes below `cls` that define the name themselves."""
    seen: set[type] = set()
    below: list[type] = type.__subclasses__(cls)
    while below:
        if (sub := below.pop()) not in seen:
            seen.add(sub)
            below += type.__subclasses__(sub)
            if defines(sub, name):
                yield sub


def package_of(function: Any) -> str:
    """Return the package that a function was written in, "" where it does not say."""
    module = getattr(function, "__globals__", {}).get("__name__") or getattr(function, "__module__", None)
    return str(module or "").partition(".")[0]
