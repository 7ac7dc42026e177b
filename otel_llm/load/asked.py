"""What a run asks for in tokens, request by request, and requests that are made when they are needed.

A worker makes a request while it waits for packets, the coordinator makes the same one again to write it down: so a
million of them take no memory, and each depends on its number alone.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol, Self, overload

from otel_llm.wire.protocol import WireRequest

__all__ = ["Asked", "LazyRequests", "Lengths"]


class Asked(NamedTuple):
    """The lengths of one request, in tokens; None where they are not fixed.

    input_tokens: of the prompt's text, without what a chat template adds
    blocks:       ids of the blocks that the prompt begins with: the same id is the same text in every prompt
    block_tokens: of one block; the last one ends with the prompt where that is shorter
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    blocks: Sequence[int] = ()
    block_tokens: int = 0


class Lengths(Protocol):
    """Where lengths of requests come from: drawn, or read from a trace."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def asked(self, index: int) -> Asked:
        """Return the lengths of request number `index`."""


class LazyRequests(Sequence[WireRequest]):
    """Requests that are made when they are asked for: the same number always gives the same request."""

    @property
    @abstractmethod
    def distinct(self) -> int:
        """How many different prompts they have."""

    @abstractmethod
    def asked(self, index: int) -> Asked:
        """Return the lengths that request number `index` asks for."""

    @abstractmethod
    def apart(self, salt: str) -> Self:
        """Return requests of the same lengths whose own texts, beside shared blocks, differ from these."""

    @abstractmethod
    def make(self, index: int) -> WireRequest:
        """Return request number `index`, which is below the length."""

    @overload
    def __getitem__(self, index: int) -> WireRequest: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[WireRequest]: ...
    def __getitem__(self, index: int | slice) -> WireRequest | Sequence[WireRequest]:
        if isinstance(index, slice):
            return [self.make(each) for each in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.make(index % len(self))
