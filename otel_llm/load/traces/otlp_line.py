"""Lines of OTLP in JSON, as the Collector's file exporter writes spans: what is read of them."""

from collections.abc import Iterator

import msgspec

__all__ = ["Array", "Line", "Span", "Value"]


class Array(msgspec.Struct, frozen=True, gc=False):
    values: list["Value"] = []


class Value(msgspec.Struct, frozen=True, rename="camel", gc=False):
    string_value: str | None = None
    int_value: int | str | None = None
    double_value: float | None = None
    array_value: Array | None = None

    @property
    def number(self) -> float | None:
        """Itself as a number; None where it is none."""
        value = self.int_value if self.double_value is None else self.double_value
        return None if value is None else float(value)


class Attribute(msgspec.Struct, gc=False):
    key: str
    value: Value = Value()


class Span(msgspec.Struct, rename="camel", gc=False):
    trace_id: str
    span_id: str
    start_time_unix_nano: int | str
    end_time_unix_nano: int | str = 0
    parent_span_id: str = ""
    attributes: list[Attribute] = []

    @property
    def said(self) -> dict[str, Value]:
        """Its attributes by their names."""
        return {attribute.key: attribute.value for attribute in self.attributes}


class Scope(msgspec.Struct, gc=False):
    spans: list[Span] = []


class Resource(msgspec.Struct, rename="camel", gc=False):
    scope_spans: list[Scope] = []


class Line(msgspec.Struct, rename="camel"):
    resource_spans: list[Resource] = []

    def spans(self) -> Iterator[Span]:
        """Yield every span of the line."""
        return (span for each in self.resource_spans for scope in each.scope_spans for span in scope.spans)
