"""Which of our modules a call crosses: those that had a frame, in the order in which they were first entered."""

import sys
from collections.abc import Callable
from types import FrameType

__all__ = ["modules_crossed"]

_OURS = ("otel_llm", "otel_llm_plugins")


def modules_crossed(function: Callable[[], object]) -> list[str]:
    """Return the names of our modules that Python frames of `function` belong to."""
    seen: dict[str, None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        name = frame.f_globals.get("__name__", "")
        if event == "call" and name.partition(".")[0] in _OURS:
            seen.setdefault(name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return list(seen)
