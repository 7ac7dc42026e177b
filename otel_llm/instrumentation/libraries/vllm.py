"""The `vllm` library in this process: `LLM.generate` and `LLM.chat`, and `AsyncLLM.generate`.

A streamed request gives outputs that hold all tokens so far, or those that are new, as its sampling parameters say.
Of a call of `LLM`, which gives everything at once, the engine itself says when its tokens were there, where it keeps
statistics (`disable_log_stats=False`).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from otel_llm.instrumentation.calls.answers import member
from otel_llm.instrumentation.calls.destination import DESTINATION
from otel_llm.instrumentation.calls.hooks import Hooks, MeasuredCall
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries.adapter import LibraryTarget, Settings
from otel_llm.instrumentation.libraries.request import parameters
from otel_llm.observation import StreamObservation
from otel_llm.record import NOT_STREAMED, PADDING, TEXT

__all__ = ["targets"]

_SETTINGS: Final = (
    *("max_tokens", "temperature", "top_p", "top_k", "seed", "n"),
    *("frequency_penalty", "presence_penalty", "stop"),
)
_DELTA: Final = "DELTA"
_streams: "Final[WeakKeyDictionary[StreamObservation, _Stream]]" = WeakKeyDictionary()


def targets(_: Settings) -> Iterable[LibraryTarget]:
    """Say what is measured. `AsyncLLMEngine` is another name of `AsyncLLM`."""
    whole = Hooks(one_per_object=True, describe=_describe, result=_result)  # `chat` may call `generate`
    streamed = Hooks(describe=_describe, prepare=_prepare, item=_kind_of_output)
    for operation, name in (("chat", "chat"), ("text_completion", "generate")):
        yield LibraryTarget("vllm.entrypoints.llm", "LLM", (name,), Options(operation=operation, model=_model), whole)
    options = Options(operation="text_completion", model=_model)
    yield LibraryTarget("vllm.v1.engine.async_llm", "AsyncLLM", ("generate",), options, streamed)


def _model(engine: Any) -> str | None:
    config = getattr(engine, "model_config", None) or getattr(getattr(engine, "llm_engine", None), "model_config", None)
    return model if isinstance(model := getattr(config, "model", None), str) else None


def _describe(_: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    given = asked.get("sampling_params")
    given = given[0] if isinstance(given, list | tuple) and given else given
    return {"provider": "vllm", "parameters": parameters({name: getattr(given, name, None) for name in _SETTINGS})}


# -- streamed ------------------------------------------------------------------------------------------------------


class _Stream:
    """How many tokens of each sequence have come so far. delta: outputs hold the new ones alone."""

    __slots__ = ("delta", "seen")

    def __init__(self, *, delta: bool) -> None:
        self.delta, self.seen = delta, dict[int, int]()

    def new(self, output: Any) -> int:
        """Return how many tokens of a sequence an output brings."""
        before, length = self.seen.get(output.index, 0), len(output.token_ids)
        self.seen[output.index] = now = before + length if self.delta else length
        return now - before


def _prepare(call: MeasuredCall, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    asked = kwargs.get("sampling_params", args[1] if len(args) > 1 else None)
    kind = getattr(getattr(asked, "output_kind", None), "name", None)
    if call.observation is not None:
        _streams[call.observation] = _Stream(delta=kind == _DELTA)


def _kind_of_output(output: Any, observation: StreamObservation) -> int:
    """Mark the new tokens of an output, which then count in place of the outputs themselves."""
    stream = _streams.get(observation)
    new = sum(stream.new(one) for one in output.outputs) if stream is not None else 0
    kind = TEXT if new else PADDING
    observation.mark(new, kind)
    if stream is not None:
        _take([output], observation, made=sum(stream.seen.values()))
    return kind


# -- all at once -----------------------------------------------------------------------------------------------------


def _result(call: MeasuredCall, outputs: Any) -> None:
    observation = call.observation
    if observation is None or not isinstance(outputs, list):
        return
    made = [len(one.token_ids) for output in outputs for one in output.outputs]
    _take(outputs, observation, made=sum(made))
    marks = [mark for output in outputs for mark in _marks(output, observation.sent_ns)]
    if marks:
        observation.set(flags=(*observation.head.get("flags", ()), NOT_STREAMED))
    for at_ns, tokens in sorted(marks):
        observation.mark(tokens, TEXT, at_ns=at_ns)


def _marks(output: Any, sent_ns: int) -> list[tuple[int, int]]:
    """Return when the first token of a request came, and when all others had; nothing where the engine does not say."""
    said, made = getattr(output, "metrics", None), sum(len(one.token_ids) for one in output.outputs)
    latency = getattr(said, "first_token_latency", None)
    if said is None or not latency or not made:
        return []
    waited = max(
        round(said.arrival_time * 1e9) - DESTINATION.clock.wall_ns(sent_ns), 0
    )  # that is a time of the wall clock
    first = sent_ns + waited + round(latency * 1e9)
    rest = round((said.last_token_ts - said.first_token_ts) * 1e9)
    return [(first, 1), *([(first + rest, made - 1)] if made > 1 else [])]


def _take(outputs: list[Any], observation: StreamObservation, *, made: int) -> None:
    given = [len(ids) for output in outputs if (ids := member(output, "prompt_token_ids")) is not None]
    cached = [n for output in outputs if isinstance(n := member(output, "num_cached_tokens"), int)]
    observation.usage(
        input=sum(given) if given else None, output=made, cached=sum(cached) if cached and any(cached) else None
    )
    reasons = [one.finish_reason for output in outputs for one in output.outputs if one.finish_reason]
    if reasons:
        observation.set(finish_reasons=tuple(dict.fromkeys(reasons)))
