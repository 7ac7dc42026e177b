"""What a user says of the calls of a function: the arguments of `metrics`, of `instrument` and of `observe`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from otel_llm.generation import GenerationMetrics

__all__ = ["BlockArguments", "Kind", "OptionArguments", "Options"]

Kind = Literal["client", "internal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user says of the calls of a function. `otel_llm.metrics` describes each."""

    model: str | Callable[[Any], str | None] | None = None
    provider: str | None = None
    operation: str = "chat"
    kind: Kind = "internal"
    tokens: Callable[[Any], int] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    returns: Literal["result", "report"] = "result"
    on_metrics: Callable[[GenerationMetrics], object] | None = None

    @classmethod
    def given(cls, caller: str, arguments: Mapping[str, Any]) -> "Options":
        """Return the options that `caller` was given; None for one is its default. Raises TypeError for others."""
        if unknown := arguments.keys() - cls.__slots__:
            raise TypeError(f"{caller}() got an unexpected keyword argument {min(unknown)!r}")
        return cls(**{name: value for name, value in arguments.items() if value is not None})


class BlockArguments(TypedDict, total=False):
    """What `observe` takes besides operation, model and provider, as the type checker sees it."""

    kind: Kind
    attributes: Mapping[str, Any] | None
    on_metrics: Callable[[GenerationMetrics], object] | None


class OptionArguments(BlockArguments, total=False):
    """What `metrics` and `instrument` take, as the type checker sees it; `metrics` takes `returns` too."""

    model: str | Callable[[Any], str | None] | None
    provider: str | None
    operation: str
    tokens: Callable[[Any], int] | None
