"""How docstrings become Markdown: a run of `name: what it is` lines is a list. An extension of Griffe."""

import re
from typing import Any, Final

import griffe

__all__ = ["Lists", "as_markdown"]

_ITEM: Final = re.compile(r"^(\w+(?:, \w+)*):\s+(?=\S)")
_RAISES: Final = re.compile(r"^Raises ", re.MULTILINE)


def as_markdown(text: str) -> str:
    """Return a docstring with its lists as Markdown lists. A list begins a paragraph, never the docstring."""
    lines: list[str] = []
    items = False
    for number, line in enumerate(text.splitlines()):
        found = _ITEM.match(line) if number and (items or not lines[-1]) else None
        if found:
            lines.append(f"- `{found[1]}`: {line[found.end() :]}")
            items = True
        else:
            items = items and line.startswith(" ")
            lines.append(f"  {line.strip()}" if items else line)
    return _RAISES.sub("\nRaises ", "\n".join(lines))


class Lists(griffe.Extension):  # type: ignore[misc]  # Griffe is where the site is built, not where it is checked
    """Rewrites each docstring as it is read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
