"""The pipelines of transformers: one span around the calls of `generate` that they make, which are what is counted."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from otel_llm.instrumentation.calls.hooks import Hooks, MeasuredCall
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries.adapter import LibraryTarget
from otel_llm.instrumentation.streams.iteration import Iterates
from otel_llm.instrumentation.streams.proxy import Looks
from otel_llm.record import NOT_STREAMED, OTHER

__all__ = ["targets"]

_PIPELINES: Final = (
    ("text_generation", "TextGenerationPipeline", "text_completion"),
    ("image_text_to_text", "ImageTextToTextPipeline", "generate_content"),
    ("any_to_any", "AnyToAnyPipeline", "generate_content"),
)


def targets(describe: Callable[[Any, Mapping[str, Any]], Mapping[str, Any]]) -> Iterable[LibraryTarget]:
    """Say what is measured. `describe`: the hook of all that is measured of this library."""
    for module, owner, operation in _PIPELINES:
        options = Options(operation=operation, model=_model)
        hooks = Hooks(describe=describe, gives_way=True, wrap=_wrap, item=_no_token, result=_nothing)
        yield LibraryTarget(f"transformers.pipelines.{module}", owner, ("__call__",), options, hooks)


def _model(pipeline: Any) -> str | None:
    return getattr(getattr(pipeline.model, "config", None), "_name_or_path", None) or type(pipeline.model).__name__


def _no_token(*_: Any) -> int:
    return OTHER


def _nothing(call: Any, results: Any) -> None:
    """Take nothing off the results, which are texts: how many tokens they have is known to the calls inside."""


def _wrap(call: MeasuredCall, results: Any) -> Any:
    """Return what stands for the results of a generator or data set, each of which is made when it is asked for."""
    if not hasattr(type(results), "__next__"):
        return None
    if call.observation is not None:
        call.observation.set(flags=(*call.observation.head.get("flags", ()), NOT_STREAMED))
    return _Results(results, call)


class _Results(Iterates, Looks):
    """An iterator that has a length, for which it would pass as a value."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self.__wrapped__)
