"""What a server says is wrong, in whatever shape it says it.

Known shapes: OpenAI's `{"error": {"message", "type", "code"}}`, vLLM's older `{"object": "error", "message"}`,
FastAPI's `{"detail"}`, `{"code", "message"}` and `{"code", "msg"}` of gateways, `{"errors": [...]}`, problem details
(RFC 9457).
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from otel_llm.wire.liberal import load
from otel_llm.wire.said import without_surrogates

__all__ = ["error_in", "sentence_of"]

_ANSWERS: Final = frozenset(("choices", "output", "candidates", "content", "response", "data"))
"""Members that an answer has and an error has not."""

_SENTENCES: Final = ("message", "msg", "detail", "error_message", "title", "error")
_DETAIL: Final = re.compile(r'\s*\{\s*"detail"\s*:\s*\[')
_TEXT: Final = r'"(?:[^"\\]|\\.)*"'
_PLACE: Final = rf"(?:{_TEXT}|\d+)"
_FIELD: Final = re.compile(rf'"loc":\s*(\[{_PLACE}(?:,\s*{_PLACE})*\]),\s*"msg":\s*({_TEXT})')
_KINDS: Final = ("type", "code", "status")


def error_in(body: bytes) -> tuple[str, str] | None:
    """Return (type, message) of an error that came as JSON of any known shape; None when the body is no such thing.

    Neither has halves of characters, which JSON can name and UTF-8 cannot write.
    """
    found = _error_in(body)
    return found and (without_surrogates(found[0]), without_surrogates(found[1]))


def _error_in(body: bytes) -> tuple[str, str] | None:
    try:
        value = load(body)
    except ValueError:
        return None
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    if not isinstance(value, Mapping):
        return None
    if (error := value.get("error") or value.get("errors")) not in (None, False):
        return _described(error, value)
    if _ANSWERS.isdisjoint(value) and (message := _sentence(value)):
        return _kind(value), message
    return None


def sentence_of(words: str) -> str:
    """Return the sentence of an error body: its message where it is JSON of a known shape, else all of it."""
    found = error_in(words.encode("utf-8", "replace"))
    if found is None and _DETAIL.match(words):  # cut off, in the request that it repeats
        return _of_fields(_fields_of(words)) or words.strip()
    return words.strip() if found is None else found[1]


def _fields_of(words: str) -> list[dict[str, Any]]:
    try:
        return [{"loc": load(loc.encode()), "msg": load(msg.encode())} for loc, msg in _FIELD.findall(words)]
    except ValueError:  # an escape that JSON has not
        return []


def _of_fields(wrong: object) -> str:
    """Return what FastAPI's list says of each field, without the field's value: that is what was asked."""
    said = list[str]()
    for each in wrong if isinstance(wrong, list) else ():
        if isinstance(each, Mapping) and isinstance(each.get("loc"), list) and each.get("msg"):
            said.append(f"{'.'.join(map(str, each['loc']))}: {each['msg']}")
    return without_surrogates("; ".join(said))


def _described(error: Any, around: Mapping[str, Any]) -> tuple[str, str]:
    if isinstance(error, list) and error:
        error = error[0]
    if isinstance(error, Mapping):
        return _kind(error), _sentence(error) or str(error)
    return _kind(around), str(error) if error is not True else _sentence(around) or str(around)


def _kind(value: Mapping[str, Any]) -> str:
    found = (value.get(name) for name in _KINDS)
    return next((str(kind) for kind in found if isinstance(kind, str | int) and kind), "error")


def _sentence(value: Mapping[str, Any]) -> str:
    for name in _SENTENCES:
        said = value.get(name)
        if isinstance(said, str) and said:
            return said
        if name == "detail" and said:  # FastAPI's list of what is wrong with the request
            return _of_fields(said) or str(said)
    return ""
