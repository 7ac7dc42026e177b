"""The slots of the simulated model: so many answers are made at a time, and further requests wait in line."""

from collections import deque
from collections.abc import Callable

__all__ = ["Slots"]


class Slots:
    """First come, first served. A size of 0 is no limit."""

    def __init__(self, size: int) -> None:
        self._size, self._taken = size, 0
        self._line: deque[Callable[[], None]] = deque()

    @property
    def waiting(self) -> int:
        return len(self._line)

    def take(self, seated: Callable[[], None]) -> None:
        """Call `seated` as soon as a slot is free, which may be now. The slot is taken until `give`."""
        if self._size and self._taken >= self._size:
            self._line.append(seated)
        else:
            self._taken += 1
            seated()

    def give(self) -> None:
        """Free a slot: the first in line takes it, if any waits."""
        if self._line:
            self._line.popleft()()
        else:
            self._taken -= 1
