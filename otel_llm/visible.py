"""Text of others on a terminal: what would move the cursor, change colours or hide text is shown, not obeyed."""

import re
from typing import Final

__all__ = ["on_one_line", "visible"]

_DANGEROUS: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters but for tab and line feed, those that turn the direction of text, and halves of characters."""


def visible(text: str) -> str:
    r"""Return the text with each control character as an escape; tabs and line feeds stay.

    >>> visible("a\x1b[2J")
    'a\\x1b[2J'
    """
    return _DANGEROUS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def on_one_line(text: str) -> str:
    r"""Return the text as `visible` does, with its line feeds as escapes: so nothing in it begins a line of its own.

    >>> on_one_line("no\nyes")
    'no\\nyes'
    """
    return visible(text).replace("\n", "\\n")
