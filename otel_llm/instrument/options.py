"""What a decorated function was told about its calls, and what a call is known by before it begins."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from otel_llm.generation import GenerationMetrics
    from otel_llm.instrument.call import Finished

__all__ = ["Options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The arguments of `metrics`, and below them what the classes of this package add.

    describe:       (object, keyword arguments) -> further fields of the record
    counter:        object -> what counts the tokens of its results, None when it has no tokenizer
    tell:           (object, finished call, result) -> anything; called when the call has ended
    one_per_object: a call inside a call on the same object is part of it, not a call of its own
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

    def head(self, instance: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of the record that are known before the call: operation, model, provider, ..."""
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
