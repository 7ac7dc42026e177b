"""The five parsers that `llmuses perf` had by name: the dataset each reads, and what it adds to the body."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.datasets import as_messages, open_dataset
from otel_llm.load.prompts.parsers.source import Source
from otel_llm.load.prompts.tokenizers import Tokenizer
from otel_llm.wire.discovery import load_protocol

__all__ = ["NAMED", "NamedParser", "Style"]

_QWEN: Final[Mapping[str, Any]] = {"skip_special_tokens": False, "stop": ["<|im_end|>"]}
_LLAMA3: Final[Mapping[str, Any]] = {"stop_token_ids": [128001, 128009]}


@dataclass(frozen=True, slots=True)
class Style:
    """`dataset` reads the file, None where only a prompt is taken; the other fields are added to the body."""

    dataset: str | None
    with_prompt: Mapping[str, Any]
    with_dataset: Mapping[str, Any]


NAMED: Final[Mapping[str, Style]] = {
    "openai_prompt": Style(None, _QWEN, _QWEN),
    "openai_openqa_qwen": Style("openqa", _QWEN, _QWEN),
    "openai_openqa_llama3": Style("openqa", _LLAMA3, _LLAMA3),
    "openai_longalpaca_12k_qwen": Style("longalpaca", {}, _QWEN),  # with a prompt the original added nothing
    "openai_longalpaca_12k_llama3": Style("longalpaca", _LLAMA3, _LLAMA3),
}


class NamedParser:
    """One of the five, for one run. Their protocol is `openai_chat`."""

    def __init__(self, name: str, source: Source, tokenizer: Tokenizer | None = None) -> None:
        self._name, self._style, self._source, self._tokenizer = name, NAMED[name], source, tokenizer

    def bodies(self) -> Iterator[dict[str, Any]]:
        """Yield the bodies of one pass: one for the prompt, whatever its length, else one for each item of the dataset.

        Raises ConfigError when there is neither, or no item is within the lengths.
        """
        source, style = self._source, self._style
        if source.prompt is not None:
            yield self._body(as_messages(source.prompt), style.with_prompt)
            return
        if style.dataset is None:
            raise ConfigError(
                f"--prompt with --parser {self._name}", next_step="give it, or a parser that reads datasets"
            )
        if source.dataset is None:
            raise ConfigError(f"--prompt or --dataset with --parser {self._name}", next_step="give one of them")
        prompts = open_dataset(
            style.dataset, source.dataset, min_length=source.min_length, max_length=source.max_length
        )
        for prompt in prompts:
            yield self._body(as_messages(prompt), style.with_dataset)

    def _body(self, messages: Sequence[Mapping[str, Any]], added: Mapping[str, Any]) -> dict[str, Any]:
        body = {"model": self._source.model, "messages": list(messages), "stream": True, **added}
        return {key: value for key, value in {**body, **self._source.parameters}.items() if value is not None}

    def tokens(self, events: Sequence[str], request: Mapping[str, Any]) -> tuple[int | None, int | None]:
        """Return (tokens of the prompt, tokens of the answer): the server's usage, else the tokenizer's, else None.

        Raises ValueError for an event that the protocol does not know.
        """
        answer = load_protocol("openai_chat")()
        said = [delta[1] for event in events if (delta := answer.decode(event.encode())) is not None]
        inputs, outputs = answer.said.input_tokens, answer.said.output_tokens
        if self._tokenizer is not None:
            asked = request["messages"][0]["content"]
            inputs = self._tokenizer.count(str(asked)) if inputs is None else inputs
            outputs = self._tokenizer.count("".join(said)) if outputs is None else outputs
        return inputs, outputs
