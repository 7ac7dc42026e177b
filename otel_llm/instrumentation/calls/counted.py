"""Which of several calls inside each other is counted. Each has a span, unless it is part of another.

- A call of the same `family` as the one around it is part of that one, and not measured by itself. So is a call on the
  same object (`one_per_object`), unless the one around it gives way.
- Inside a frame (`gives_way`), a call is counted, and the frame becomes a mere span.
- Inside any other call, a call is a mere span, flagged `nested`.

So of calls inside each other the outermost is counted, unless it is a frame around those that do the work.
"""

from typing import Any, Protocol

__all__ = ["CountedCall", "is_nested", "is_part_of"]


class Rules(Protocol):
    """What hooks say of counting."""

    @property
    def family(self) -> str | None: ...
    @property
    def one_per_object(self) -> bool: ...
    @property
    def gives_way(self) -> bool: ...


class CountedCall(Protocol):
    """A call, as far as counting goes. nested: it is a mere span; gave_way: it became one for calls inside it."""

    instance: Any
    nested: bool
    gave_way: bool

    @property
    def hooks(self) -> Rules: ...

    def give_way(self) -> bool:
        """Become a mere span; return whether that can be done now."""
        ...


def is_part_of(outer: CountedCall, rules: Rules, instance: Any) -> bool:
    """Return whether a call on `instance` inside of `outer` is part of that one, and not measured by itself."""
    if rules.family is not None and outer.hooks.family == rules.family:
        return True
    same = instance is not None and outer.instance is instance
    return same and rules.one_per_object and not outer.hooks.gives_way


def is_nested(outer: CountedCall | None) -> bool:
    """Return whether a call inside of `outer` is a mere span; an outer call that is a frame gives way to it instead."""
    if outer is None:
        return False
    if outer.nested or not outer.hooks.gives_way:
        return True
    if not outer.gave_way:
        outer.gave_way = outer.give_way()
    return False
