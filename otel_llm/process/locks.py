"""Whether code runs inside of an SDK that may hold one of its locks: to wait for it from there is to wait for ever.

The cyclic collector and signal handlers run wherever the interpreter happens to be, so also in there.
"""

from types import FrameType
from typing import Final

__all__ = ["may_hold_a_lock"]

_LOCKING: Final = ("opentelemetry.sdk", "opentelemetry.exporter", "otel_llm.sinks", "logging")


def may_hold_a_lock(frame: FrameType | None) -> bool:
    """Return whether `frame`, or one that called it, is of a module that records while it holds a lock."""
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith(_LOCKING) and any(name == room or name.startswith(f"{room}.") for room in _LOCKING):
            return True
        frame = frame.f_back
    return False
