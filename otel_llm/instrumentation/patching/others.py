"""Two instrumentations of one method: the other one is left alone, whichever came first, so nothing counts twice."""

import logging
from collections.abc import Iterable
from typing import Any, Final

from otel_llm.instrumentation.patching.place import ABSENT, Place, package_of

__all__ = ["NotTakenOver", "forget_told", "is_wrapped_by_others", "tell_left_to_others"]

_OTHERS: Final = frozenset(
    ("ddtrace", "langfuse", "langsmith", "logfire", "mlflow", "openinference", "openlit", "opentelemetry", "sentry_sdk")
)
"""Who wraps with plain functions. A decorator of the user's own is no instrumentation, and is measured around."""
_log: Final = logging.getLogger("otel_llm.instrumentation")
_told: Final[set[str]] = set()
"""The libraries of which it was said that others measure them too: once is enough, whatever number of methods."""


def is_wrapped_by_others(function: Any) -> bool:
    """Return whether a function carries the wrapper of another instrumentation: nearly all of them use wrapt."""
    for _ in range(20):
        if function is None:
            return False
        kind = type(function)
        if kind.__module__.partition(".")[0] == "wrapt" or kind.__name__ in ("FunctionWrapper", "BoundFunctionWrapper"):
            return True
        if package_of(getattr(function, "__func__", function)) in _OTHERS:
            return True
        function = getattr(function, "__wrapped__", None)
    return False


def tell_left_to_others(owner: Any, name: str) -> None:
    """Say that another instrumentation measures what we would, once for each library."""
    library = (getattr(owner, "__module__", None) or owner.__name__).partition(".")[0]
    if library not in _told:
        _told.add(library)
        _log.warning(
            "expected %s.%s as %s has it, got one that another instrumentation has wrapped; what that one wraps of %s "
            "is left to it, exclude one of the two",
            *(owner.__name__, name, library, library),
        )


def forget_told() -> None:
    """Be ready to say it again: nothing is measured any more."""
    _told.clear()


class NotTakenOver:
    """Whether a call is ours to measure: not when another instrumentation has been put over ours meanwhile."""

    __slots__ = ("_judged", "_name", "_place")

    def __init__(self, name: str) -> None:
        self._name, self._judged = name, ABSENT
        self._place: Place | None = None

    def watch(self, places: Iterable[Place]) -> None:
        """Take the place whose content decides, the first one."""
        self._place = next(iter(places), None)

    def __call__(self) -> bool:
        place = self._place
        if place is None or place.holds:
            return True
        over = vars(place.owner).get(place.name, ABSENT)
        if over is self._judged:
            return False
        if not is_wrapped_by_others(over):
            return True
        self._judged = over
        tell_left_to_others(place.owner, self._name)
        return False
