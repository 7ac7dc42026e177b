"""The items of one stream, stamped by its stand-in; they become the observation's chunks when the call ends."""

from array import array
from collections.abc import Callable
from typing import Any

from otel_llm.instrumentation.calls import answers
from otel_llm.instrumentation.calls.isolation import guarded
from otel_llm.instrumentation.calls.lazy_reader import LazyReader
from otel_llm.observation import StreamObservation
from otel_llm.record import CONTENT_KINDS, OTHER, PADDING, TEXT

__all__ = ["StreamItems"]


class StreamItems:
    """What came of one stream.

    at_ns:  when each item came. A list, because it grows at half the price of an array
    take:   notes what the item that was stamped last says besides its arrival
    plain:  whether of a string in the stream nothing but the arrival is of interest

    count:  item -> its tokens, None where each item with content is one token
    keep:   is given each item, None where content is not kept
    """

    __slots__ = (
        "_count",
        "_keep",
        "_kinds",
        "_observation",
        "_read",
        "_reader",
        "_tokens",
        "at_ns",
        "plain",
        "take",
    )

    def __init__(
        self,
        observation: StreamObservation,
        read: Callable[[Any, StreamObservation], int] | None,
        has_text: Callable[[Any], bool] | None,
        count: Callable[[Any], int] | None,
        keep: Callable[[Any], object] | None,
    ) -> None:
        """read, has_text: hooks of an adapter, see `Hooks`"""
        self.at_ns: list[int] = []
        self.plain = count is None and keep is None
        self._observation, self._read = observation, read or answers.kind_of
        self._count, self._keep = count, keep
        self._tokens: list[int] = []
        self._kinds: dict[int, int] = {}  # of items that are not text, by their number
        self._reader: LazyReader | None = None
        self.take: Callable[[Any], None] = self._take
        if has_text is not None and self.plain:
            self._reader = LazyReader(observation, self._read, self._note, has_text)
            self.take = self._reader.take

    def _take(self, item: Any) -> None:
        guarded("item", self._read_item, item)

    def _read_item(self, item: Any) -> None:
        self._note(item, self._read(item, self._observation))

    def _note(self, item: Any, kind: int) -> None:
        if self._count is not None:
            brought = self._count(item)
            self._tokens.append(brought)
            if not brought and kind != OTHER:
                kind = PADDING
            elif brought and kind not in CONTENT_KINDS:
                kind = TEXT
        if kind != TEXT:
            self._kinds[len(self.at_ns) - 1] = kind
        if self._keep is not None:
            self._keep(item)

    def finish(self) -> None:
        """Read what has not been read yet: the stream is over."""
        if self._reader is not None:
            guarded("item", self._reader.finish)

    def hand_over(self, observation: StreamObservation) -> None:
        """Give the items to the observation."""
        kinds = array("B", bytes((TEXT,)) * len(self.at_ns))
        for index, kind in self._kinds.items():
            kinds[index] = kind
        tokens = array("I", bytes(4 * len(kinds)))  # 0: not known, so one for each that bears any
        if self._count is not None and len(self._tokens) == len(kinds):
            tokens = array("I", self._tokens)
            observation.counted(sum(tokens))
        observation.mark_all(array("q", self.at_ns), kinds, tokens)
