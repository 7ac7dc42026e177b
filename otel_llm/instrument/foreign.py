"""Two instrumentations of one method: the other one is left alone, whichever came first, so nothing counts twice."""

import logging
from collections.abc import Iterable
from typing import Any, Final

from otel_llm.instrument.patching import ABSENT, Place, root_of

__all__ = ["Yielding", "wrapped_by_others"]

_OTHERS: Final = frozenset(
    ("ddtrace", "langfuse", "langsmith", "logfire", "mlflow", "openinference", "openlit", "opentelemetry", "sentry_sdk")
)
"""Who wraps with plain functions. A decorator of the user's own is no instrumentation, and is measured around."""
_log: Final = logging.getLogger("otel_llm.instrument")


def wrapped_by_others(function: Any) -> bool:
    """Return whether a function carries the wrapper of another instrumentation: nearly all of them use wrapt."""
    for _ in range(20):
        if function is None:
            return False
        kind = type(function)
        if kind.__module__.partition(".")[0] == "wrapt" or kind.__name__ in ("FunctionWrapper", "BoundFunctionWrapper"):
            return True
        if root_of(getattr(function, "__func__", function)) in _OTHERS:
            return True
        function = getattr(function, "__wrapped__", None)
    return False


class Yielding:
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
        if not wrapped_by_others(over):
            return True
        self._judged = over
        _log.warning(
            "another instrumentation was put over %s.%s; it is left to that one, exclude one of the two",
            place.owner.__name__,
            self._name,
        )
        return False
