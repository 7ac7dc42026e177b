"""What a user says of the calls of a function: the arguments of `metrics`, of `instrument` and of `observe`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypedDict, get_args

from otel_llm.errors import ConfigError
from otel_llm.generation import GenerationMetrics

__all__ = ["BlockArguments", "Kind", "OptionArguments", "Options"]

Kind = Literal["client", "internal"]
Returns = Literal["result", "report"]

_WORDS: Final[Mapping[str, tuple[str, ...]]] = {"kind": get_args(Kind), "returns": get_args(Returns)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user says of the calls of a function. `otel_llm.metrics` describes each."""

    model: str | Callable[[Any], str | None] | None = None
    provider: str | None = None
    operation: str = "chat"
    kind: Kind = "internal"
    tokens: Callable[[Any], int] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    returns: Returns = "result"
    on_metrics: Callable[[GenerationMetrics], object] | None = None

    @classmethod
    def given(cls, caller: str, arguments: Mapping[str, Any]) -> "Options":
        """Return the options that `caller` was given; None for one is its default.

        Raises TypeError for others, and ConfigError for a value that would be taken for another without a word.
        """
        if unknown := arguments.keys() - cls.__slots__:
            raise TypeError(f"{caller}() got an unexpected keyword argument {min(unknown)!r}")
        given = {name: value for name, value in arguments.items() if value is not None}
        for name, known in _WORDS.items():
            if name in given and given[name] not in known:
                raise ConfigError(f"{caller}({name}=…) to be {' or '.join(map(repr, known))}", given[name])
        if "tokens" in given and not callable(given["tokens"]):
            raise ConfigError(f"{caller}(tokens=…) to be a function of the result", given["tokens"])
        return cls(**given)


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
