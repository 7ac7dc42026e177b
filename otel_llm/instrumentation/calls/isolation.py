"""Where finished calls go, and the promise that telemetry never reaches the user's call.

The sink is made when the first call is opened: not at import, so that nothing is recorded before a fork and whoever
configures providers later still has them used.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from otel_llm.clock import SYSTEM, Clock
from otel_llm.record import StreamRecord

__all__ = ["LOG", "Telemetry", "clock", "guarded", "sink", "use", "warm"]

LOG: Final = logging.getLogger("otel_llm")
"""Calls, one record each, at INFO."""
_FAILURES: Final = logging.getLogger("otel_llm.instrumentation")
_FAILURES.addHandler(logging.NullHandler())  # else they would reach stderr, through logging's last resort


class Telemetry(Protocol):
    """What a sink of calls is: it hears of a call when it begins, and once when it has ended."""

    def opened(self, head: Mapping[str, Any], start_ns: int) -> Any:
        """Start the span, child of the current context; what is returned has it as `.span`."""
        ...

    def uncount(self, handle: Any) -> None:
        """Keep the span of a call that is under way, and record no measures of it."""
        ...

    def finish(self, handle: Any, record: StreamRecord) -> None:
        """End the span and record the measures."""
        ...


_sink: Telemetry | None = None
_clock: Clock = SYSTEM
_complained: Final[set[str]] = set()


def sink() -> Telemetry:
    """Return the sink that calls go to: OpenTelemetry's global providers, unless `use` said otherwise."""
    global _sink
    if _sink is None:
        from otel_llm.sinks.otel import OTelSink

        _sink = OTelSink()
    return _sink


def clock() -> Clock:
    """Return the clock that calls are stamped by."""
    return _clock


def use(other: Telemetry | None, clock: Clock = SYSTEM) -> Telemetry | None:
    """Send calls to another sink, None for the default one, stamped by `clock`. Return the sink before."""
    global _sink, _clock
    before, _sink, _clock = _sink, other, clock
    return before


def warm() -> None:
    """Load what measuring needs (numpy among it), so that no call pays for it."""
    guarded("import", _load)


def _load() -> None:
    import otel_llm.sinks.otel  # noqa: F401


def guarded(what: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what `function` returns, or None when it fails: a failure is logged, once for each kind of it."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        kind = f"{what}: {type(error).__qualname__}"
        if kind not in _complained:
            _complained.add(kind)
            _FAILURES.warning("telemetry failed (%s); the call goes on, and this is said once", kind, exc_info=True)
        return None
