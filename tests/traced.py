"""Which of our modules a call crosses: those that had a frame, in the order in which they were first entered."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

__all__ = ["modules_crossed", "modules_on_the_page"]

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


def modules_on_the_page(heading: str) -> list[str]:
    """Return the modules in the table under a heading of docs/architecture.md, in order."""
    page = (Path(__file__).parents[1] / "docs/architecture.md").read_text("utf-8")
    section = re.split(r"\n##", page.partition(f"### {heading}\n")[2])[0]
    return ["otel_llm." + name for name in re.findall(r"^\| \d+ \| `([\w.]+)` \|", section, re.MULTILINE)]
