"""Requests made when they are needed: given prompts with answers of drawn lengths, or prompts made to a length."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from otel_llm.errors import ConfigError
from otel_llm.load.asked import Asked, LazyRequests, Lengths
from otel_llm.load.prompts.datasets import Message, as_messages
from otel_llm.load.prompts.media import Supply
from otel_llm.load.prompts.token_lengths import TokenLengths
from otel_llm.load.prompts.token_text import TokenText
from otel_llm.load.prompts.tokenizers import Tokenizer
from otel_llm.wire.protocol import Ask, Media, WireRequest
from otel_llm.wire.protocol import Protocol as WireProtocol

__all__ = ["DrawnLengths", "Form", "GivenPrompts", "MadePrompts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What all requests of a run have in common.

    parameters: a user's own, which override everything else
    media:      what goes with the first turn of each prompt: images, recordings, videos
    tokenizer:  of prompts, for a protocol that sends their token ids; None for none
    """

    protocol: type[WireProtocol]
    model: str
    stream: bool
    parameters: Mapping[str, Any]
    media: Sequence[Supply] = ()
    tokenizer: Tokenizer | None = None

    def ask(self, messages: Sequence[Message], output_tokens: int | None, prompt: int) -> Ask:
        """Return what prompt number `prompt` asks, whose answer is to be so long; None leaves that to the server."""
        if self.media:
            messages = self._with_media(messages, [each for supply in self.media for each in supply.of(prompt)])
        parameters = self.parameters_of(output_tokens)
        ask = Ask(model=self.model, messages=messages, stream=self.stream, parameters=parameters)
        if self.tokenizer is not None and "prompt" in self.protocol.as_ids:
            return replace(ask, token_ids=self.tokenizer.ids(ask.prompt))
        return ask

    def parameters_of(self, output_tokens: int | None) -> Mapping[str, Any]:
        """Return the parameters of a request whose answer is to be so long; None leaves that to the server."""
        length = {} if output_tokens is None else self.protocol.answer_length(output_tokens)
        return {**length, **self.parameters}

    def request(self, messages: Sequence[Message], output_tokens: int | None, prompt: int) -> WireRequest:
        """Return the request of what `ask` returns."""
        return self.protocol.encode(self.ask(messages, output_tokens, prompt))

    def _with_media(self, messages: Sequence[Message], media: Sequence[Media]) -> Sequence[Message]:
        """Return messages the last of which, the user's, has media."""
        *before, last = messages
        if not isinstance(text := last.get("content"), str):
            raise ConfigError("prompts of text for --images, --audio or --video", type(text).__name__, "go without it")
        return [*before, {**last, **self.protocol.with_media(text, media)}]


@dataclass(frozen=True, slots=True)
class GivenPrompts(LazyRequests):
    """Prompts as they are, again from the start where there are more requests, with answers of other lengths."""

    form: Form
    prompts: Sequence[Sequence[Message]]
    lengths: Lengths

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def distinct(self) -> int:
        return min(len(self.prompts), len(self.lengths))

    def asked(self, index: int) -> Asked:
        return self.lengths.asked(index)._replace(input_tokens=None)

    def apart(self, salt: str) -> "GivenPrompts":
        return self

    def make(self, index: int) -> WireRequest:
        return self.form.request(self.prompts[index % len(self.prompts)], self.asked(index).output_tokens, index)


@dataclass(frozen=True, slots=True)
class DrawnLengths(Lengths):
    """Lengths drawn from distributions. None leaves prompts as they are, and answers to the server"""

    input_tokens: TokenLengths | None
    output_tokens: TokenLengths | None
    seed: int
    number: int

    def __len__(self) -> int:
        return self.number

    def asked(self, index: int) -> Asked:
        def drawn(lengths: TokenLengths | None, of: str) -> int | None:
            return None if lengths is None else lengths.draw(self.seed, of, index)

        return Asked(drawn(self.input_tokens, "input"), drawn(self.output_tokens, "output"))


@dataclass(frozen=True, slots=True)
class MadePrompts(LazyRequests):
    """Prompts made to lengths: first the blocks that they share, then words of their own, no two alike."""

    form: Form
    lengths: Lengths
    text: TokenText
    salt: str

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def distinct(self) -> int:
        return len(self.lengths)

    def asked(self, index: int) -> Asked:
        return self.lengths.asked(index)

    def apart(self, salt: str) -> "MadePrompts":
        return replace(self, salt=f"{self.salt} {salt}")

    def make(self, index: int) -> WireRequest:
        asked = self.lengths.asked(index)
        return self.form.request(as_messages(self.prompt(index, asked)), asked.output_tokens, index)

    def prompt(self, index: int, asked: Asked) -> str:
        """Return the text of a prompt. A block is made from its id alone, in every process the same."""
        total, own = asked.input_tokens or 1, f"{self.salt} {index}"
        pieces, left = list[str](), total
        for block in asked.blocks:
            pieces.append(self.text.own(f"block {block}", min(asked.block_tokens, left)))
            left -= min(asked.block_tokens, left)
        pieces.append(self.text.own(own, left))
        return self.text.whole("".join(pieces), total, own)
