"""The promise that telemetry never reaches the user's call: what fails is logged once and left undone."""

import logging
from collections.abc import Callable
from typing import Any, Final

__all__ = ["guarded"]

_log: Final = logging.getLogger("otel_llm.instrumentation")
_log.addHandler(logging.NullHandler())  # else they would reach stderr, through logging's last resort
_complained: Final[set[str]] = set()


def guarded(what: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what `function` returns, or None when it fails: a failure is logged, once for each kind of it."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        kind = f"{what}: {type(error).__qualname__}"
        if kind not in _complained:
            _complained.add(kind)
            _log.warning("telemetry failed (%s); the call goes on, and this is said once", kind, exc_info=True)
        return None
