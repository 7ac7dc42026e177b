"""`BaseLLM`: the common interface of language models, which measures what a subclass does without being asked to."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from otel_llm.errors import ConfigError
from otel_llm.generation import FinishedCall, GenerationMetrics
from otel_llm.instrumentation.calls.current import bind_context, current, in_thread
from otel_llm.instrumentation.calls.destination import DESTINATION, LOG
from otel_llm.instrumentation.calls.hooks import Hooks
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.decorator import measure, said_of
from otel_llm.instrumentation.loading import load_telemetry
from otel_llm.models import checkpoint
from otel_llm.models.conversation import Message, as_prompt, messages_of, words_in
from otel_llm.models.log import file_logger
from otel_llm.models.parameters import CREATIVE, NAMES, Parameters, attributes
from otel_llm.models.resources import Resources, observe_resources, resources

__all__ = ["HOOKS", "OPTIONS", "BaseLLM"]

_MEASURED: Final = ("run", "arun", "stream", "astream", "__call__")
_SUMMARY: Final = "Summarize the following text in a few sentences.\n\n{text}"


def _describe(model: "BaseLLM", _: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "parameters": attributes(model),
        "provider": model.provider,
        "kind": model.kind,
        "operation": model.operation,
        **model.describe_call(),
    }


def _tell(model: "BaseLLM", finished: FinishedCall, result: Any) -> None:
    model.__dict__["_last_generation"] = (finished, result if isinstance(result, str) else None)


OPTIONS: Final = Options(model=lambda model: model.model_name)
HOOKS: Final = Hooks(
    describe=_describe,
    counter=lambda model: model._exact_counter(),
    tell=_tell,
    one_per_object=True,
)


class BaseLLM(Parameters):
    """A language model: subclass it and write `run(task)`, or give a `backend`.

    Every call of `run`, `arun`, `stream`, `astream` and of the object itself is measured once, however these call each
    other: a span with the parameters, the histograms, `get_generation_time()` and `metrics()`. That holds for a
    subclass that overrides them and never calls `super().__init__`.

    The parameters are those of swarms' `BaseLLM` page, all None by default. What is given is stored; no range is
    checked and no device is touched. `repetition_penalty` and `num_beams` are other names of `repition_penalty` and
    `beam_width`: to give both with different values raises ValueError.

    backend:   callable (task, ...) -> text, or an object with `run`; what `run` calls where it is not overridden
    tokenizer: callable text -> number of tokens, or an object with `encode`; without it tokens of a text are not known
               to telemetry, and `_num_tokens` counts words and punctuation
    """

    provider: str | None = None
    kind: str = "internal"
    operation: str = "chat"
    backend: Any = None
    tokenizer: Any = None
    log_file: str | None = None
    creative_mode: bool = False

    def __init__(
        self,
        model_name: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        system_prompt: str | None = None,
        beam_width: int | None = None,
        num_return_sequences: int | None = None,
        seed: int | None = None,
        frequency_penalty: float | None = None,
        presence_penalty: float | None = None,
        stop_token: str | None = None,
        length_penalty: float | None = None,
        role: str | None = None,
        max_length: int | None = None,
        do_sample: bool | None = None,
        early_stopping: bool | None = None,
        num_beams: int | None = None,
        repition_penalty: float | None = None,
        pad_token_id: int | None = None,
        eos_token_id: int | None = None,
        bos_token_id: int | None = None,
        device: str | None = None,
        *,
        repetition_penalty: float | None = None,
        backend: Any = None,
        tokenizer: Any = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in NAMES}
        given["repition_penalty"] = _one_of(
            repition_penalty, repetition_penalty, "repition_penalty, repetition_penalty"
        )
        given["beam_width"] = _one_of(beam_width, num_beams, "beam_width, num_beams")
        del given["num_beams"]
        for name, value in given.items():
            setattr(self, name, value)
        self.backend, self.tokenizer = backend, tokenizer
        self.history = []

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        load_telemetry()
        for name in _MEASURED:
            if (method := cls.__dict__.get(name)) is not None and not getattr(method, "__isabstractmethod__", False):
                said = said_of(method)
                if said is None:
                    setattr(cls, name, measure(method, OPTIONS, HOOKS))
                elif not said[1].one_per_object:  # decorated by hand: its options hold, and it is still measured once
                    hooks = replace(HOOKS, positional=said[1].positional)
                    setattr(cls, name, measure(method.__wrapped__, said[0], hooks))

    @property
    def history(self) -> list[Message]:
        """The turns of `chat`: {"role": ..., "content": ...}."""
        turns: list[Message] = self.__dict__.setdefault("history", [])
        return turns

    @history.setter
    def history(self, turns: list[Message]) -> None:
        self.__dict__["history"] = turns

    def describe_call(self) -> Mapping[str, Any]:
        """Return further fields of the record of every call, such as `server_address`. For subclasses."""
        return {}

    # -- generating --------------------------------------------------------------------------------------------

    def run(self, task: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """Return the text generated for a task. Subclasses write this; else the backend does it, or `stream` joined.

        Raises NotImplementedError where there is none of them.
        """
        if self.backend is not None:
            return getattr(self.backend, "run", self.backend)(task, *args, **kwargs)
        if type(self).stream is BaseLLM.stream:
            name = type(self).__name__
            raise NotImplementedError(
                f"expected {name} to generate text, got no run(); next step: write def run(self, task) in a subclass, "
                f"or make it with {name}(backend=...)"
            )
        pieces, observation = [], current()
        for piece in self.stream(task, *args, **kwargs):
            observation.mark()
            pieces.append(piece)
        return "".join(pieces)

    run = measure(run, OPTIONS, HOOKS)

    async def arun(self, task: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """Return what `run` returns, run in a thread: the event loop goes on meanwhile, the parent span is kept."""
        return await in_thread(self.run, task, *args, **kwargs)

    def stream(self, task: str | None = None, *args: Any, **kwargs: Any) -> Iterator[str]:
        """Yield the text piece by piece. Without an override it is what `run` returns, in one piece or as a stream."""
        result = self.run(task, *args, **kwargs)
        if hasattr(type(result), "__next__"):
            yield from result
        else:
            yield result

    async def astream(self, task: str | None = None, *args: Any, **kwargs: Any) -> AsyncIterator[str]:
        """Yield what `stream` yields, each piece awaited from a thread."""
        pieces = self.stream(task, *args, **kwargs)
        while (piece := await in_thread(next, pieces, None)) is not None:
            yield piece

    def batch_run(self, tasks: Sequence[str], *args: Any, max_workers: int = 1, **kwargs: Any) -> list[Any]:
        """Return the results of all tasks in their order, `max_workers` at a time."""
        if max_workers <= 1:
            return [self.run(task, *args, **kwargs) for task in tasks]
        run = bind_context(self.run)
        with ThreadPoolExecutor(max_workers) as pool:
            return list(pool.map(lambda task: run(task, *args, **kwargs), tasks))

    async def abatch_run(
        self,
        tasks: Sequence[str],
        *args: Any,
        max_concurrency: int | None = None,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Return the results of all tasks in their order, run at the same time.

        max_concurrency: how many at most; return_exceptions: put a failure in its result's place, so that the others
        are not lost. Without it the first failure is raised when all have ended.
        """
        gate = asyncio.Semaphore(max_concurrency or max(len(tasks), 1))

        async def one(task: str) -> Any:
            async with gate:
                return await self.arun(task, *args, **kwargs)

        results = await asyncio.gather(*map(one, tasks), return_exceptions=True)
        if not return_exceptions:
            for result in results:
                if isinstance(result, BaseException):
                    raise result
        return results

    def __call__(self, task: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """Return what `run` returns."""
        return self.run(task, *args, **kwargs)

    def chat(self, task: str, history: str | Sequence[Message] = "") -> str:
        """Return the reply to a turn of a conversation, and add both to `history`.

        history: turns or text to go before it; without it, the conversation so far. The system prompt goes first.
        """
        asked: Message = {"role": self.role or "user", "content": task}
        reply = self.converse([*messages_of(history or self.history, self.system_prompt), asked])
        self.history += [asked, {"role": "assistant", "content": reply}]
        return reply

    def converse(self, messages: list[Message]) -> str:
        """Return the reply to messages. For subclasses whose model takes messages; else they go to `run` as text."""
        reply: str = self.run(as_prompt(messages))
        return reply

    def generate_summary(self, text: str) -> str:
        """Return a summary of a text, asked for by `summary_prompt`."""
        summary: str = self.run(self.summary_prompt(text))
        return summary

    def summary_prompt(self, text: str) -> str:
        """Return the task that asks for a summary. For subclasses."""
        return _SUMMARY.format(text=text)

    def clear_history(self) -> None:
        """Forget the conversation."""
        self.history.clear()

    # -- how fast ----------------------------------------------------------------------------------------------

    def metrics(self) -> GenerationMetrics | None:
        """Return the metrics of the last generation, by whatever method. None before the first one."""
        last: tuple[FinishedCall, str | None] | None = self.__dict__.get("_last_generation")
        return None if last is None else last[0].metrics

    def get_generation_time(self) -> float:
        """Return the seconds of the last generation, 0.0 before the first one."""
        last = self.metrics()
        return 0.0 if last is None else last.generation_latency

    def _tokens_per_second(self) -> float:
        """Return output tokens / seconds of the last generation; 0.0 before the first one, or when no time passed.

        Tokens that nobody told or counted are those of `_num_tokens`.
        """
        finished, text = self.__dict__.get("_last_generation") or (None, None)
        if finished is None:
            return 0.0
        tokens, seconds = finished.metrics.output_tokens, finished.metrics.generation_latency
        if tokens is None:
            tokens = self._num_tokens(text or "")
        return float(tokens / seconds) if seconds > 0 else 0.0

    def _num_tokens(self, text: str) -> int:
        """Return the tokens of a text: exactly with a tokenizer, else its words and punctuation marks."""
        return (self._exact_counter() or words_in)(text)

    def _exact_counter(self) -> Callable[[str], int] | None:
        tokenizer = self.tokenizer
        if tokenizer is None:
            return None
        encode = getattr(tokenizer, "encode", None)
        if encode is None:
            return lambda text: int(tokenizer(text))
        return lambda text: len(encode(text))

    def _time_for_generation(self, task: str) -> float:
        """Return the seconds that a run of the task takes."""
        start = DESTINATION.clock.now_ns()
        self._generate(task)
        return (DESTINATION.clock.now_ns() - start) / 1e9

    def _generate(self, task: str) -> GenerationMetrics | None:
        """Run a task, to its end where it streams, and return its metrics."""
        result = self.run(task)
        if hasattr(type(result), "__next__"):
            for _ in result:
                pass
        return self.metrics()

    def time_to_first_token(self, prompt: str) -> float | None:
        """Return the seconds to the first token of a streamed generation. None where the model does not stream."""
        for _ in self.stream(prompt):
            pass
        last = self.metrics()
        return None if last is None else last.time_to_first_token

    def generation_latency(self, prompt: str) -> float:
        """Return the seconds that a run of the prompt takes."""
        return self._time_for_generation(prompt)

    def throughput(self, prompts: Sequence[str]) -> float:
        """Return output tokens per second over all prompts, one after the other; 0.0 when no time passed."""
        tokens, seconds = 0.0, 0.0
        for prompt in prompts:
            self._generate(prompt)
            took = self.get_generation_time()
            tokens, seconds = tokens + self._tokens_per_second() * took, seconds + took
        return tokens / seconds if seconds > 0 else 0.0

    # -- around it ---------------------------------------------------------------------------------------------

    def enable_logging(self, log_file: str = "model.log") -> None:
        """Write this model's events to a file. Again with the same file: nothing changes."""
        logger = self.__dict__.get("_logger")
        if logger is not None and self.log_file == log_file:
            return
        for handler in logger.handlers if logger is not None else ():
            handler.close()
        self.__dict__["_logger"], self.log_file = file_logger(log_file), log_file

    def log_event(self, message: str) -> None:
        """Log an event: to this model's file, where there is one, and to the logger `otel_llm`."""
        self.__dict__.get("_logger", LOG).info(message)

    def save_checkpoint(self, checkpoint_dir: str | os.PathLike[str] = "checkpoints") -> Path:
        """Return the path of a new file that holds the parameters, the history and `checkpoint_state()`. No secrets."""
        state = {
            "class": f"{type(self).__module__}.{type(self).__qualname__}",
            "parameters": {name: getattr(self, name) for name in NAMES},
            "history": self.history,
            "creative": self.__dict__.get("_before_creative"),
            "extra": self.checkpoint_state(),
        }
        path = checkpoint.write(checkpoint_dir, state)
        self.log_event(f"Model checkpoint saved at {path}")
        return path

    def load_checkpoint(self, checkpoint_path: str | os.PathLike[str]) -> None:
        """Restore what `save_checkpoint` wrote.

        Raises FileNotFoundError, and ConfigError for a file that cannot be used; the model is then as it was.
        """
        state = checkpoint.read(checkpoint_path)
        try:
            self.restore_state(state.get("extra") or {})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            what = f"the state of a {type(self).__name__} in {checkpoint_path}"
            raise ConfigError(what, error, "load it into a model of the class that saved it") from error
        for name in NAMES:
            if name in state["parameters"]:
                setattr(self, name, state["parameters"][name])
        self.history = state["history"]
        before = state.get("creative")
        self.creative_mode = before is not None
        self.__dict__["_before_creative"] = before and {name: before.get(name) for name in CREATIVE}
        self.log_event(f"Model state loaded from {checkpoint_path}")

    def checkpoint_state(self) -> Mapping[str, Any]:
        """Return what else a checkpoint of this class holds, as JSON values. For subclasses: no secrets."""
        return {}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `checkpoint_state` returned. For subclasses; called before anything else is restored."""

    def toggle_creative_mode(self, enable: bool) -> None:
        """Sample freely (do_sample, temperature 0.9, top_p 0.95), or go back to exactly what was set before."""
        before = self.__dict__.get("_before_creative")
        if enable and before is None:
            self.__dict__["_before_creative"] = {name: getattr(self, name) for name in CREATIVE}
            self._set_all(CREATIVE)
        elif not enable and before is not None:
            self.__dict__["_before_creative"] = None
            self._set_all(before)
        self.creative_mode = enable
        self.log_event("Creative mode enabled." if enable else "Creative mode disabled.")

    def _set_all(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            setattr(self, name, value)

    def track_resource_utilization(self) -> Resources:
        """Return what this process uses, readable as text; from the first call on it is in OpenTelemetry gauges too."""
        observe_resources()
        return resources()


def _one_of(value: Any, other: Any, names: str) -> Any:
    if value is not None and other is not None and value != other:
        raise ValueError(f"expected one value for {names}, which are the same, got {value!r} and {other!r}")
    return other if value is None else value
