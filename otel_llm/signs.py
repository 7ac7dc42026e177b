"""Signs that an output's encoding lacks are written with those it has: `<=` in the place of `≤`, never an error."""

import codecs
from collections.abc import Mapping
from io import TextIOWrapper
from typing import Any, Final

__all__ = ["write_plainly"]

_HANDLER: Final = "otel_llm.signs"
_PLAIN: Final[Mapping[str, str]] = {
    "≤": "<=", "≥": ">=", "–": "-", "−": "-", "—": "-", "·": "|", "…": "...", "∞": "inf", "×": "x", "→": "->",
    "µ": "u", "±": "+-",
}  # fmt: skip


def write_plainly(stream: Any) -> None:
    """Have a text stream replace what its encoding lacks; what is no file of text is left as it is."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors=_HANDLER)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


codecs.register_error(_HANDLER, _replace)
