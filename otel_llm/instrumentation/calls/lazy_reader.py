"""Reading only the last of a run of text items: most items of a stream say nothing that was not said before.

To read an item is to look through it for its kind, its usage, its model, its id and its finish reason, which costs ten
times what stamping it does. Yet of a thousand chunks all but a few hold a piece of text and repeat the id and the
model. What else there is to learn stands in the first chunks (id, model) and in the last (finish reason, usage).

So once the answer's id is known, an item that the adapter's cheap `has_text` recognises is put aside. The next one
takes its place, unread; the last one is read when an item of another kind comes, or when the stream ends:

    role  "Hel"  "lo"  " wor"  "ld" + finish reason   usage
    read  read   -     -       read, when usage comes  read
"""

from collections.abc import Callable
from typing import Any

from otel_llm.instrumentation.calls.answers import AnswerFacts
from otel_llm.instrumentation.calls.isolation import guarded

__all__ = ["LazyReader"]

_ID = "response_id"


class LazyReader:
    """Reads the items of one stream, of consecutive text items only the last.

    read:     (item, observation) -> its kind; puts what the item says of the answer into the observation
    note:     is given each item that was read when it came, with its kind; an item put aside is text, and not given
    has_text: item -> whether it holds text and may be put aside
    """

    __slots__ = ("_has_text", "_note", "_observation", "_put_aside", "_read", "_skips")

    def __init__(
        self,
        observation: AnswerFacts,
        read: Callable[[Any, Any], int],
        note: Callable[[Any, int], object],
        has_text: Callable[[Any], bool],
    ) -> None:
        self._observation, self._read, self._note, self._has_text = observation, read, note, has_text
        self._skips = False  # until the id of the answer is known
        self._put_aside: Any = None

    def take(self, item: Any) -> None:
        """Take the item that came last. Never raises: what cannot be read is logged once."""
        if self._skips:
            try:
                holds_text = self._has_text(item)
            except Exception:  # no item of the usual shape
                holds_text = False
            if holds_text:
                self._put_aside = item
                return
        guarded("item", self._take, item)

    def finish(self) -> None:
        """Read what was put aside last: the stream is over."""
        if self._put_aside is not None:
            item, self._put_aside = self._put_aside, None
            self._read(item, self._observation)

    def _take(self, item: Any) -> None:
        self.finish()
        self._note(item, self._read(item, self._observation))
        self._skips = _ID in self._observation.head
