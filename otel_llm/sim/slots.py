"""The slots of the simulated model: so many answers are made at a time, and further requests wait in line.

A slot may need room in the key-value cache as well, for all tokens of its request.
"""

from collections import deque
from collections.abc import Callable

__all__ = ["Slots"]


class Slots:
    """First come, first served. A size of 0 is no limit, and neither is room for 0 tokens.

    A slot is free from the moment that is given for it, not from when this process comes to say so: otherwise the time
    between the two would be service, and at a high load the line would be longer than that of any real queue.
    """

    def __init__(self, size: int, room: int = 0) -> None:
        self._size, self._room = size, room
        self._taken = self._held = 0
        self._line: deque[tuple[Callable[[int], None], int]] = deque()

    @property
    def waiting(self) -> int:
        return len(self._line)

    @property
    def cache_used(self) -> float:
        """The share of the cache in use: all of it while there is no room for the first in line."""
        if not self._room:
            return 0.0
        wanted = self._line[0][1] if self._line and (not self._size or self._taken < self._size) else 0
        return min((self._held + wanted) / self._room, 1.0)

    def resize(self, size: int, room: int, at_ns: int) -> None:
        """Change both limits at a moment. Those who have a slot keep it."""
        self._size, self._room = size, room
        self._seat(at_ns)

    def take(self, seated: Callable[[int], None], tokens: int = 0) -> None:
        """Call `seated` as soon as a slot is free, which may be now, with since when, ns; 0: for long.

        The slot is taken until `give`.
        """
        if not self._line and self._fits(tokens):
            self._taken += 1
            self._held += tokens
            seated(0)
        else:
            self._line.append((seated, tokens))

    def _fits(self, tokens: int) -> bool:
        if self._size and self._taken >= self._size:
            return False
        # a request that is larger than the cache has it to itself, or it would wait for ever
        return not self._room or self._held + tokens <= self._room or not self._taken

    def give(self, at_ns: int, tokens: int = 0) -> None:
        """Free a slot at a moment: the first in line take it, as far as they fit."""
        self._taken -= 1
        self._held -= tokens
        self._seat(at_ns)

    def _seat(self, at_ns: int) -> None:
        while self._line and self._fits(self._line[0][1]):
            seated, wanted = self._line.popleft()
            self._taken += 1
            self._held += wanted
            seated(at_ns)
