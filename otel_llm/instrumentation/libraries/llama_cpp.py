"""The `llama_cpp` library: a model of llama.cpp in this process, its chats, completions and embeddings.

A call that does not stream has a first token none the less: completions take their tokens from `generate`, which is
shadowed on the object for as long as the call lasts, and shows each.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final

from otel_llm.instrumentation.calls.hooks import Hooks, MeasuredCall
from otel_llm.instrumentation.calls.isolation import guarded
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries.adapter import LibraryTarget, Settings
from otel_llm.instrumentation.libraries.request import parameters
from otel_llm.record import NOT_STREAMED, TEXT

__all__ = ["targets"]

_OPERATIONS: Final = (("chat", ("create_chat_completion",)), ("text_completion", ("create_completion", "__call__")))


def targets(_: Settings) -> Iterable[LibraryTarget]:
    """Say what is measured."""
    hooks = Hooks(
        one_per_object=True,  # these call each other
        describe=_describe,
        prepare=_prepare,
        tell=lambda llama, *_: vars(llama).pop("generate", None),
    )
    for operation, names in _OPERATIONS:
        yield LibraryTarget("llama_cpp.llama", "Llama", names, Options(operation=operation, model=_model), hooks)
    options = Options(operation="embeddings", model=_model)
    yield LibraryTarget("llama_cpp.llama", "Llama", ("create_embedding",), options, Hooks(describe=_describe))


def _model(llama: Any) -> str | None:
    return PurePath(path).name if isinstance(path := getattr(llama, "model_path", None), str) else None


def _describe(_: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    given = asked.get("model")
    return {"provider": "llama_cpp", "parameters": parameters(asked), **({"model": given} if given else {})}


def _prepare(call: MeasuredCall, _: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    vars(call.instance)["generate"] = _Steps(call, streamed=bool(kwargs.get("stream"))).generate


class _Steps:
    """What stands for `generate` of one object. Of a stream it counts the tokens, of any other call it stamps them."""

    def __init__(self, call: MeasuredCall, *, streamed: bool) -> None:
        self._llama, self._generate = call.instance, call.instance.generate
        self._observation, self._streamed, self._made = call.observation, streamed, 0
        if self._observation is not None and not streamed:
            self._observation.set(flags=(*self._observation.head.get("flags", ()), NOT_STREAMED))

    def generate(self, tokens: Any, *args: Any, **kwargs: Any) -> Iterator[int]:
        """Yield the tokens."""
        if self._observation is not None:
            self._observation.usage(input=len(tokens))
        for token in self._generate(tokens, *args, **kwargs):
            guarded("token", self._take, token)
            yield token

    def _take(self, token: int) -> None:
        """Take a token, unless it is the end, which is none of the answer's."""
        if self._observation is None or _is_end()(self._llama._model.vocab, token):
            return
        self._made += 1
        if self._streamed:
            self._observation.counted(self._made)
        else:
            self._observation.mark(1, TEXT)


def _is_end() -> Callable[[Any, int], bool]:
    """Return what tells whether a token is one of a vocabulary that ends an answer; its name has changed."""
    library: Any = sys.modules["llama_cpp"]
    found: Callable[[Any, int], bool] = getattr(library, "llama_vocab_is_eog", None) or library.llama_token_is_eog
    return found
