"""The requests that the options ask for, wherever they come from, and what counts their tokens."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from otel_llm.load.figures.counting import Counts
from otel_llm.load.plan.conversations import Conversations
from otel_llm.load.prompts.tokenizers import Tokenizer
from otel_llm.load.prompts.wording import answer_text_of, prompt_text_of
from otel_llm.wire.protocol import Protocol, WireRequest

__all__ = ["ByTokenizer", "Requests"]


class Requests(NamedTuple):
    """The first requests of the sessions of one pass, at most `--number`.

    counts:        counts tokens where the server does not; None without a tokenizer or parser
    notes:         what a reader of the report should know of them
    conversations: what follows each; None where nothing does
    moments:       when each is to be sent, ns from the start, where a trace says it
    """

    requests: Sequence[WireRequest]
    counts: Counts | None
    notes: tuple[str, ...] = ()
    conversations: Conversations | None = None
    moments: Sequence[int] | None = None


class ByTokenizer:
    """Counts the tokens of the prompt's text and of the answer's text with a tokenizer."""

    def __init__(self, protocol: type[Protocol], tokenizer: Tokenizer) -> None:
        self._protocol, self._tokenizer = protocol, tokenizer

    def tokens(self, events: Sequence[str], request: Mapping[str, Any]) -> tuple[int | None, int | None]:
        count = self._tokenizer.count
        asked, said = prompt_text_of(request), answer_text_of(self._protocol, events)
        untold = not said and (not self._protocol.streams or "answer" in self._protocol.as_ids)  # rather than 0 tokens
        return count(asked) if asked else None, None if untold else count(said)
