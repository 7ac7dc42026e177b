"""What a decorated function was told about its calls, and what a call is known by before it begins."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from otel_llm.generation import GenerationMetrics
    from otel_llm.instrumentation.calls.call import Call, Finished
    from otel_llm.observation import StreamObservation

__all__ = ["Arguments", "Options"]

Arguments = tuple[tuple[Any, ...], Mapping[str, Any]]
"""Of a call: by position, and by keyword."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The arguments of `metrics`, and below them what the classes and adapters of this package add.

    describe:       (object, arguments by name) -> further fields of the record
    counter:        object -> what counts the tokens of its results, None when it has no tokenizer
    tell:           (object, finished call, result) -> anything; called when the call has ended
    one_per_object: a call inside a call on the same object is part of it, not a call of its own
    family:         a call inside a call of the same family is part of it, not a call of its own
    gives_way:      what is counted is the measured calls inside it, where there are any; else the call itself
    positional:     the names of arguments that may be given by position
    when:           whether a call is to be measured, asked each time
    prepare:        (call, args, kwargs) -> the arguments that are passed on, None for these; the call has begun
    wrap:           (call, result) -> what the caller gets in the result's place, None for the usual
    item:           (item of a stream, observation) -> its kind, in place of `items.kind_of`
    text:           item of a stream -> whether it has text; of such items in a row `item` is asked of the last alone
    leaf:           neither the user's code nor another call runs in the steps of a stream: no context is attached there
    source:         stream -> the generator whose items it passes on and nothing else, None where it does more; a leaf's
    result:         (call, what was returned) -> anything, in place of `usage.read`
    """

    model: str | Callable[[Any], str | None] | None = None
    provider: str | None = None
    operation: str = "chat"
    kind: Literal["client", "internal"] = "internal"
    tokens: Callable[[Any], int] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    returns: Literal["result", "report"] = "result"
    on_metrics: "Callable[[GenerationMetrics], object] | None" = None
    describe: Callable[[Any, Mapping[str, Any]], Mapping[str, Any]] | None = None
    counter: Callable[[Any], Callable[[Any], int] | None] | None = None
    tell: "Callable[[Any, Finished, Any], object] | None" = None
    one_per_object: bool = False
    family: str | None = None
    gives_way: bool = False
    positional: tuple[str, ...] = ()
    when: Callable[[], bool] | None = None
    prepare: "Callable[[Call, tuple[Any, ...], Mapping[str, Any]], Arguments | None] | None" = None
    wrap: "Callable[[Call, Any], Any] | None" = None
    item: "Callable[[Any, StreamObservation], int] | None" = None
    text: Callable[[Any], bool] | None = None
    leaf: bool = False
    source: Callable[[Any], Any] | None = None
    result: "Callable[[Call, Any], object] | None" = None

    def part_of(self, outer: "Call", instance: Any) -> bool:
        """Return whether a call on `instance` inside of `outer` is part of that one."""
        if self.family is not None and outer.options.family == self.family:
            return True
        same = instance is not None and outer.instance is instance
        return same and self.one_per_object and not outer.options.gives_way

    def head(self, instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of the record that are known before the call: operation, model, provider, ..."""
        if args and self.positional:
            kwargs = {**dict(zip(self.positional, args, strict=False)), **kwargs}
        head: dict[str, Any] = {
            "operation": self.operation,
            "provider": self.provider,
            "kind": self.kind,
            "model": self.model(instance) if callable(self.model) else self.model or _model_of(instance, kwargs),
        }
        if self.attributes:
            head["attributes"] = dict(self.attributes)
        if self.describe is not None:
            head.update(self.describe(instance, kwargs))
        return head


def _model_of(instance: Any, kwargs: Mapping[str, Any]) -> str | None:
    """Return the model's name where it usually stands: the argument `model`, `self.model_name`, `self.model`."""
    for name in (kwargs.get("model"), getattr(instance, "model_name", None), getattr(instance, "model", None)):
        if isinstance(name, str) and name:
            return name
    return None
