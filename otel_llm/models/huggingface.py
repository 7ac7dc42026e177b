"""`HuggingFaceLLM`: a transformers model in this process, whose every token is stamped as it is generated.

transformers and torch are imported when the model is first used. Stamps are taken by a streamer, which gets each
token from the device; with beams, where transformers allows none, there is no first token, and that is said (None).
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from otel_llm.errors import ConfigError
from otel_llm.instrumentation.calls.current import bind_context, current
from otel_llm.instrumentation.decorator import measure
from otel_llm.models.base import HOOKS, OPTIONS, BaseLLM
from otel_llm.models.conversation import Message, messages_of
from otel_llm.models.streamers import TextPieces, TokenStamps
from otel_llm.observation import StreamObservation

__all__ = ["HuggingFaceLLM"]

_GENERATION: Final = {
    "max_tokens": "max_new_tokens",
    "max_length": "max_length",
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "num_beams": "num_beams",
    "num_return_sequences": "num_return_sequences",
    "length_penalty": "length_penalty",
    "do_sample": "do_sample",
    "early_stopping": "early_stopping",
    "repition_penalty": "repetition_penalty",
    "pad_token_id": "pad_token_id",
    "eos_token_id": "eos_token_id",
    "bos_token_id": "bos_token_id",
}
"""Our parameters by the names of transformers' generation settings. What is None is the model's own default."""

Asked = str | Sequence[Message]


class HuggingFaceLLM(BaseLLM):
    """A causal language model of transformers.

    model_name:    a local folder or a name of the hub; needs `transformers` and `torch`
    model:         a model that is loaded already, with its `tokenizer`, instead
    device:        where it is moved to when it is loaded, such as "cpu" or "cuda"
    chat_template: whether a task is put into the tokenizer's chat template; None: when it has one
    load:          keyword arguments of `from_pretrained`, such as {"dtype": "bfloat16"}

    The other parameters are `BaseLLM`'s; keyword arguments of a call go to `generate` and win. With
    `num_return_sequences` over 1, `run` returns a list. Token counts are exact: they are the model's own.
    """

    provider = "huggingface"

    def __init__(
        self,
        model_name: str | None = None,
        *,
        model: Any = None,
        tokenizer: Any = None,
        chat_template: bool | None = None,
        load: Mapping[str, Any] | None = None,
        **parameters: Any,
    ) -> None:
        super().__init__(model_name or getattr(model, "name_or_path", None) or None, tokenizer=tokenizer, **parameters)
        self.model, self.chat_template, self._load = model, chat_template, dict(load or {})
        self._loading = threading.Lock()

    def load(self) -> Any:
        """Return the model, loaded with its tokenizer if it was not. Raises ConfigError without transformers.

        The time of a call that has to load it starts when it is there.
        """
        with self._loading:
            loaded = self.model is not None and self.tokenizer is not None
            if self.model is None:
                transformers = _transformers()
                model = transformers.AutoModelForCausalLM.from_pretrained(self.model_name, **self._load)
                self.model = model.to(self.device) if self.device else model
                self.model.eval()
            if self.tokenizer is None:
                self.tokenizer = _transformers().AutoTokenizer.from_pretrained(self.model_name)
            if self.tokenizer.pad_token_id is None:
                self.tokenizer.pad_token = self.tokenizer.eos_token
        if not loaded:
            current().restart()
        return self.model

    # -- generating --------------------------------------------------------------------------------------------

    def run(self, task: Asked | None = None, *args: Any, **kwargs: Any) -> Any:
        """Return the text generated for a task, or for messages."""
        texts = self._generate_all([task or ""], current(), kwargs)
        return texts[0] if len(texts) == 1 else texts

    def converse(self, messages: list[Message]) -> str:
        """Return the reply to messages, by the chat template where there is one."""
        reply: str = self.run(messages)
        return reply

    def stream(self, task: Asked | None = None, *args: Any, **kwargs: Any) -> Iterator[str]:
        """Yield the text as it is generated, in a thread. A closed iterator stops the model after its next token."""
        self.load()
        observation, inputs = current(), self._encode([task or ""])
        streamer, stop = TextPieces(self.tokenizer, observation), threading.Event()
        failed: list[BaseException] = []

        def generate() -> None:
            try:
                self._ask(inputs, observation, kwargs, streamer, stop)
            except BaseException as error:  # raised again where the text is read
                failed.append(error)
                streamer.end()

        thread = threading.Thread(target=bind_context(generate), daemon=True)
        thread.start()
        try:
            yield from streamer
        finally:
            stop.set()
            thread.join()
        if failed:
            raise failed[0]

    def batch_run(self, tasks: Sequence[str], *args: Any, max_workers: int = 1, **kwargs: Any) -> list[str]:
        """Return the texts of all tasks in their order, generated as one batch, which is one measured call."""
        return self._generate_all(list(tasks), current(), kwargs) if tasks else []

    batch_run = measure(batch_run, OPTIONS, replace(HOOKS, tell=None))

    def _generate_all(
        self, tasks: Sequence[Asked], observation: StreamObservation, kwargs: Mapping[str, Any]
    ) -> list[str]:
        self.load()
        inputs = self._encode(tasks)
        settings = self._settings(kwargs)
        stamps = TokenStamps(observation) if settings.get("num_beams", 1) == 1 else None
        new = self._ask(inputs, observation, kwargs, stamps, None)
        texts: list[str] = self.tokenizer.batch_decode(new, skip_special_tokens=True)
        return texts

    def _ask(
        self,
        inputs: Any,
        observation: StreamObservation,
        kwargs: Mapping[str, Any],
        streamer: Any,
        stop: threading.Event | None,
    ) -> Any:
        """Return the new tokens, int64[tasks * sequences, tokens], and note how many went in and came out."""
        settings = self._settings(kwargs)
        if streamer is not None:
            settings["streamer"] = streamer
        if stop is not None:
            settings["stopping_criteria"] = _stops(stop)
        if self.seed is not None:
            _transformers().set_seed(self.seed)
        output = self.model.generate(**inputs, **settings)
        new = output[:, inputs["input_ids"].shape[1] :]
        observation.usage(input=int(inputs["attention_mask"].sum()), output=self._count(new))
        return new

    def _count(self, new: Any) -> int:
        """Return the tokens generated: those of each row up to its end token, and not the padding behind it."""
        ends = self.eos_token_id if self.eos_token_id is not None else self.model.generation_config.eos_token_id
        ends = set(ends) if isinstance(ends, list | tuple) else {ends}
        return sum(next((i + 1 for i, token in enumerate(row) if token in ends), len(row)) for row in new.tolist())

    def _settings(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        found = {theirs: getattr(self, ours) for ours, theirs in _GENERATION.items() if getattr(self, ours) is not None}
        found.setdefault("pad_token_id", self.tokenizer.pad_token_id)
        if self.stop_token is not None:
            found |= {"stop_strings": [self.stop_token], "tokenizer": self.tokenizer}
        return {**found, **kwargs}

    def _encode(self, tasks: Sequence[Asked]) -> Any:
        """Return input_ids and attention_mask of all tasks, padded on the left, on the model's device."""
        texts = [self._text(task) for task in tasks]
        templated = self._templated()
        encoded = self.tokenizer(
            texts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=not templated
        )
        return {name: encoded[name].to(self.model.device) for name in ("input_ids", "attention_mask")}

    def _templated(self) -> bool:
        return bool(self.tokenizer.chat_template) if self.chat_template is None else self.chat_template

    def _text(self, task: Asked) -> str:
        messages = [{"role": "user", "content": task}] if isinstance(task, str) else list(task)
        if self.system_prompt and not any(message["role"] == "system" for message in messages):
            messages = [*messages_of("", self.system_prompt), *messages]
        if self._templated():
            text: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            return text
        return "\n".join(message["content"] for message in messages)


def _transformers() -> Any:
    try:
        import torch  # noqa: F401
        import transformers
    except ImportError as error:
        raise ConfigError(
            "transformers and torch", error, "pip install 'otel-llm[models]' and the torch for your device"
        ) from None
    return transformers


def _stops(stop: threading.Event) -> Any:
    """Return the stopping criteria by which a reader that went away ends the generation."""
    from transformers import StoppingCriteria, StoppingCriteriaList

    class Stop(StoppingCriteria):  # type: ignore[misc]  # transformers is not typed
        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            return input_ids.new_full((input_ids.shape[0],), stop.is_set(), dtype=_bool())

    return StoppingCriteriaList([Stop()])


def _bool() -> Any:
    import torch

    return torch.bool
