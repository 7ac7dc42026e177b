"""transformers: `generate` of every model, in every decoding mode, `generate_batch`, and the pipelines around them.

A call that does not stream has a first token none the less. Every decoding loop asks its stopping criteria once per
step, so one more of them, which never stops anything, sees each token as it is chosen.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from otel_llm import conventions as names
from otel_llm.instrumentation.calls.hooks import Arguments, Hooks, MeasuredCall
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries import pipelines
from otel_llm.instrumentation.libraries.adapter import LibraryTarget, Settings
from otel_llm.instrumentation.libraries.request import parameters
from otel_llm.instrumentation.libraries.sequences import Batch, Sequences
from otel_llm.instrumentation.libraries.steps import Steps, Tee
from otel_llm.observation import StreamObservation
from otel_llm.record import NOT_STREAMED

__all__ = ["targets"]

_POSITIONAL: Final = (
    "inputs", "generation_config", "logits_processor", "stopping_criteria", "prefix_allowed_tokens_fn", "synced_gpus",
    "assistant_model", "streamer", "negative_prompt_ids", "negative_prompt_attention_mask", "custom_generate",
)  # fmt: skip
_SETTINGS: Final = ("max_new_tokens", "temperature", "top_p", "top_k", "num_return_sequences", "num_beams", "do_sample")


def targets(_: Settings) -> Iterable[LibraryTarget]:
    """Say what is measured."""
    yield from pipelines.targets(_describe)
    options = Options(operation="text_completion", model=_model)
    generate = Hooks(
        describe=_describe,
        family="transformers",  # a draft model's `generate` is part of the call that it drafts for
        positional=_POSITIONAL,
        prepare=_prepare,
        wrap=_returned,
        result=lambda call, value: call.state and call.state.count(value, call.observation),
    )
    batch = Hooks(describe=_describe, family="transformers.batch", prepare=_with_timestamps, result=_batch)
    yield LibraryTarget("transformers.generation.utils", "GenerationMixin", ("generate",), options, generate)
    paged = "transformers.generation.continuous_batching.continuous_api"
    yield LibraryTarget(paged, "ContinuousMixin", ("generate_batch",), options, batch)


def _model(model: Any) -> str | None:
    config = getattr(model, "config", None)
    return getattr(config, "_name_or_path", None) or type(model).__name__


def _describe(_: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    config = asked.get("generation_config")
    given = {name: value for name in _SETTINGS if (value := getattr(config, name, None)) is not None}
    given |= {name: value for name, value in asked.items() if value is not None}
    found = parameters(given)
    if isinstance(beams := given.get("num_beams"), int) and beams > 1:
        found[names.REQUEST_OTHER + "num_beams"] = beams
    return {"provider": "huggingface", "parameters": found}


def _prepare(call: MeasuredCall, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments | None:
    """Return the arguments with what sees the tokens: the user's own streamer, else one more stopping criterion."""
    asked = {**dict(zip(_POSITIONAL, args, strict=False)), **kwargs}
    observation = call.observation
    if observation is None or asked.get("custom_generate") is not None:
        return None  # somebody else's loop, which may take neither
    call.state = sequences = Sequences(call.instance, asked)
    if asked.get("cache_implementation") == "paged":  # takes neither: `generate_batch`, which it calls, has the times
        return None
    if (streamer := asked.get("streamer")) is not None:
        return (), {**asked, "streamer": Tee(streamer, observation)}
    _not_streamed(observation)
    sequences.steps = steps = Steps(observation, sequences)
    return (), {**asked, "stopping_criteria": steps.among(asked.get("stopping_criteria"))}


def _not_streamed(observation: StreamObservation) -> None:
    """Note that the call has a first token, though its caller gets all of them at once."""
    observation.set(flags=(*observation.head.get("flags", ()), NOT_STREAMED))


def _returned(call: MeasuredCall, _: Any) -> None:
    """Stamp the last token of a loop whose host runs ahead of its device."""
    if isinstance(call.state, Sequences) and call.state.steps is not None:
        call.state.steps.returned()


def _with_timestamps(_: MeasuredCall, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
    return args, {**kwargs, "record_timestamps": True}


def _batch(call: MeasuredCall, outputs: Any) -> None:
    """Take the times of a batch, which `generate` may have asked for on its own caller's behalf."""
    batch = Batch(outputs)
    outer = call.outer if call.outer is not None and isinstance(call.outer.state, Sequences) else None
    for one in (call, outer):
        if one is not None and one.observation is not None:
            _not_streamed(one.observation)
            batch.tell(one.observation)
    if outer is not None:
        outer.state = None  # counted
