"""Messages of protobuf from a few words each: the fields that are used. What else a peer sends is skipped.

protobuf itself is loaded by those who speak it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["fill", "message_classes", "parse", "values_in"]


def message_classes(package: str, messages: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the classes of messages, by name.

    A field is `number name type`. Before its type stands `*` where it is repeated, `?` where a value of zero is sent
    too, `|` where it is one of several of which one is set. A type is a scalar's, that of another of these messages, or
    `map<KEY,VALUE>`.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name=f"otel_llm/{package}.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        made = file.message_type.add(name=name)
        if any(field.split()[2].startswith("|") for field in fields):
            made.oneof_decl.add(name="choice")
        for field in fields:
            number, called, kind = field.split()
            added = made.field.add(name=called, number=int(number))
            _describe(added, kind.lstrip("*?|"), package, made)
            if kind.startswith("|"):
                added.oneof_index = 0
            elif kind.startswith("*"):
                added.label = added.LABEL_REPEATED
        for optional in (field.split()[1] for field in fields if field.split()[2].startswith("?")):  # behind all others
            given = next(each for each in made.field if each.name == optional)
            given.proto3_optional, given.oneof_index = True, len(made.oneof_decl)
            made.oneof_decl.add(name=f"_{optional}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages}


def _describe(field: Any, kind: str, package: str, owner: Any) -> None:
    """Set the type of a field of the message `owner`."""
    field.label = field.LABEL_OPTIONAL
    if kind.startswith("map<"):
        entry = owner.nested_type.add(name=f"{field.name.title().replace('_', '')}Entry", options={"map_entry": True})
        for number, part in enumerate(zip(("key", "value"), kind[4:-1].split(","), strict=True), 1):
            _describe(entry.field.add(name=part[0], number=number), part[1], package, entry)
        field.label, kind = field.LABEL_REPEATED, f"{owner.name}.{entry.name}"
    scalar = getattr(type(field), f"TYPE_{kind.upper()}", None)
    if scalar is None:
        field.type, field.type_name = field.TYPE_MESSAGE, f".{package}.{kind}"
    else:
        field.type = scalar


def fill(message: Any, values: Mapping[str, Any]) -> Any:
    """Set the fields of a message, and of those inside it; return it.

    Raises AttributeError for a field that it has not, TypeError or ValueError for a value that is none of it.
    """
    for name, value in values.items():
        if isinstance(value, Mapping):
            inner = getattr(message, name)
            inner.SetInParent()
            fill(inner, value)
        elif isinstance(value, list):
            getattr(message, name).extend(value)
        else:
            setattr(message, name, value)
    return message


def values_in(message: Any) -> dict[str, Any]:
    """Return the fields of a message that are set, those of messages inside it as objects."""
    return {field.name: _value(value) for field, value in message.ListFields()}


def _value(value: Any) -> Any:
    if hasattr(value, "ListFields"):
        return values_in(value)
    return list(value) if hasattr(value, "extend") else value


def parse(kind: Any, message: bytes) -> Any:
    """Return bytes as a message of this class. Raises ValueError for what is none."""
    try:
        return kind.FromString(message)
    except Exception as error:
        from google.protobuf.message import DecodeError  # here, for an import costs as much as the rest of a message

        if not isinstance(error, DecodeError):
            raise
        raise ValueError(f"expected a message of the protocol, got {len(message)} bytes that are none") from error
