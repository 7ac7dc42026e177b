"""What transformers calls with each token: stamps for the observation, and text for a reader in another thread."""

from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any, Final

from otel_llm.observation import StreamObservation

__all__ = ["TextPieces", "TokenStamps"]

_UNFINISHED: Final = "\N{REPLACEMENT CHARACTER}"
"""What bytes decode to that are not a whole character yet."""


class TokenStamps:
    """A streamer that marks the tokens of every step; of a batch, one of each row. The first put is the prompt."""

    def __init__(self, observation: StreamObservation) -> None:
        self._observation, self._prompt = observation, True

    def put(self, value: Any) -> None:
        if self._prompt:
            self._prompt = False
        else:
            self._observation.mark(int(value.numel()))
            self._took(value)

    def _took(self, value: Any) -> None:
        """For subclasses: tokens of a step."""

    def end(self) -> None:
        """Do nothing: the caller sees the end of the call."""


class TextPieces(TokenStamps):
    """A streamer whose text is read, in another thread, by iterating: what each token adds, as soon as it is known.

    A token is decoded together with the ones just before it, since tokenizers write the space before a word only
    where a word goes before; and bytes that are not yet a character wait for the rest of it.
    """

    def __init__(self, tokenizer: Any, observation: StreamObservation) -> None:
        super().__init__(observation)
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._from = self._told = 0
        self._queue: SimpleQueue[str | None] = SimpleQueue()

    def _took(self, value: Any) -> None:
        self._ids += value.reshape(-1).tolist()
        self._tell(_UNFINISHED)

    def _tell(self, unfinished: str | None) -> None:
        before = self._decode(self._ids[self._from : self._told])
        text = self._decode(self._ids[self._from :])
        if len(text) > len(before) and not (unfinished and text.endswith(unfinished)):
            self._queue.put(text[len(before) :])
            self._from, self._told = self._told, len(self._ids)

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def end(self) -> None:
        self._tell(None)
        self._queue.put(None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._queue.get, None)
