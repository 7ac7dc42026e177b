"""Where calls come from, as the page sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from otel_llm.receiver.decode import ReceivedSpan
from otel_llm.view.calls import Calls

__all__ = ["KeptSpan", "Source"]


@dataclass(frozen=True, slots=True)
class KeptSpan:
    """A span; chunks: when each part of its answer arrived, Unix nanoseconds, where that is known."""

    span: ReceivedSpan
    chunks: tuple[int, ...] = ()


class Source(Protocol):
    """Holds calls, and can read each of them again."""

    @property
    def calls(self) -> Calls: ...

    @property
    def runs(self) -> Mapping[str, Mapping[str, Any]]:
        """What each load run says of itself, by its id: `name`, `mode` and `limited`, where known."""
        ...

    def refresh(self) -> None:
        """Look whether there is more."""
        ...

    def read(self, key: int) -> KeptSpan | None:
        """Return a call by the key that `calls` has for it; None when it is not kept any more."""
        ...

    def trace(self, trace_id: str) -> list[KeptSpan]:
        """Return the spans of a trace."""
        ...
