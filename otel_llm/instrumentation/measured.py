"""What `metrics` gives, as a type checker sees it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, Self, TypeVar, overload

from otel_llm.generation import GenerationMetrics

__all__ = ["Decorator", "Measured", "Reporter"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)

if TYPE_CHECKING:

    class _Remembers:
        """To a type checker no part of the protocol, so that a method may override a decorated one undecorated."""

        @property
        def last_metrics(self) -> GenerationMetrics | None:
            """The metrics of its last call in this thread or task, None before the first one."""
            ...

else:

    class _Remembers(Protocol):
        """A protocol has no other bases."""


class _Method(Protocol[S_contra, Q, R_co]):
    """A callable whose first parameter an object or a class is bound to; any of its name will do."""

    def __call__(self, instance: S_contra, /, *args: Q.args, **kwargs: Q.kwargs) -> R_co: ...


class Measured(_Remembers, Protocol[P, R_co]):  # type: ignore[misc]  # it is a protocol, see there
    """A decorated callable, as a type checker sees it: what it was, and `last_metrics`."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    @overload
    def __get__(self: _Method[S, Q, R_co], instance: S, owner: Any = None) -> "Measured[Q, R_co]": ...  # a method
    @overload
    def __get__(self: _Method[S, Q, R_co], instance: object, owner: S) -> "Measured[Q, R_co]": ...  # a class method
    @overload
    def __get__(self, instance: object, owner: Any = None) -> Self: ...  # of a class, or a static method


class Decorator(Protocol):
    """`metrics` with arguments."""

    def __call__(self, function: Callable[P, R], /) -> Measured[P, R]: ...


class Reporter(Protocol):
    """`metrics(returns="report")`."""

    def __call__(self, function: Callable[P, Any], /) -> Measured[P, Any]: ...
