"""Reads an event that is not quite what its protocol promises, as far as it can be understood.

Servers send text with half a character in it, null for an empty list, numbers where a string belongs. A typed decoder
refuses such an event as a whole; this reads it by the same types, and leaves out what does not fit. It is slow, and
called for what was refused only.
"""

import json
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

from otel_llm.wire.said import Said, without_surrogates

__all__ = ["load", "read"]

T = TypeVar("T", bound=msgspec.Struct)

_FLAG: Final = "malformed"
_FAR: Final = 1 << 62


def read(event: bytes, kind: type[T], said: Said) -> T:
    """Return the event, or the one item of a list, as a struct of that kind; the answer is flagged `malformed`.

    Raises ValueError when it is no JSON, no object, or lacks what its meaning hangs on (a member without a default that
    is None, of another shape).
    """
    value = load(event)
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    found = msgspec.json.decode(_dump(_fit(value, inspect.type_info(kind))), type=kind)
    said.flag(_FLAG)
    return found


def load(event: bytes) -> Any:
    """Return the JSON value of an event, with U+FFFD for what is no UTF-8. Raises ValueError when it is no JSON."""
    try:
        return json.loads(event.decode("utf-8", "replace"), parse_constant=lambda _: None)
    except RecursionError:
        raise ValueError("expected JSON, got one that is nested too deep") from None


def _dump(value: object) -> bytes:
    return without_surrogates(json.dumps(value, ensure_ascii=False)).encode()


def _fit(value: Any, kind: inspect.Type) -> Any:
    """Return the value as its type has it. Raises ValueError when it cannot be made to fit."""
    match kind:
        case inspect.UnionType():
            return _fit_one_of(value, kind)
        case inspect.StructType():
            return _fit_members(value, kind)
        case inspect.ListType():
            items = () if value is None else (value,) if isinstance(value, dict) else value
            if not isinstance(items, list | tuple):
                raise _unfit("a list", value)
            return [_fit(item, kind.item_type) for item in items if item is not None]
        case inspect.StrType():
            return _fit_text(value)
        case inspect.IntType():
            return _fit_count(value)
        case inspect.DictType() if not isinstance(value, dict):
            raise _unfit("an object", value)
        case inspect.BoolType():
            return value in (True, "true")
    return value


def _fit_one_of(value: Any, kind: inspect.UnionType) -> Any:
    """Return the value as the first of several types that it fits; None when it fits none and may be None."""
    for each in sorted(kind.types, key=lambda each: not _is_of(value, each)):
        try:
            return None if isinstance(each, inspect.NoneType) else _fit(value, each)
        except ValueError:
            continue
    raise _unfit("another value", value)


def _is_of(value: Any, kind: inspect.Type) -> bool:
    """Return whether a value is of the JSON type that belongs to `kind`."""
    match kind:
        case inspect.NoneType():
            return value is None
        case inspect.StructType():
            return isinstance(value, dict)
        case inspect.ListType():
            return isinstance(value, list)
        case inspect.StrType():
            return isinstance(value, str)
        case inspect.DictType():
            return isinstance(value, dict)
    return isinstance(value, int) and not isinstance(value, bool)


def _fit_members(value: Any, kind: inspect.StructType) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _unfit("an object", value)
    found = {}
    for field in kind.fields:
        if field.encode_name in value:
            found[field.encode_name] = _fit(value[field.encode_name], field.type)
    return found


def _fit_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise _unfit("text", value)


def _fit_count(value: Any) -> int:
    """Return a count, of a number or of digits in a string. One beyond 62 bits comes out as no less absurd."""
    digits = value if isinstance(value, str) and value.isascii() and value.isdigit() else ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if digits and len(digits) < 19:
        return int(digits)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _unfit("a count", value)
    return max(-_FAR, min(value, _FAR))


def _unfit(expected: str, value: object) -> ValueError:
    return ValueError(f"expected {expected}, got {type(value).__name__}")
