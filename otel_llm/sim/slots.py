"""The slots of the simulated model: so many answers are made at a time, and further requests wait in line."""

from collections import deque
from collections.abc import Callable

__all__ = ["Slots"]


class Slots:
    """First come, first served. A size of 0 is no limit.

    A slot is free from the moment that is given for it, not from when this process comes to say so: otherwise the time
    between the two would be service, and at a high load the line would be longer than that of any real queue.
    """

    def __init__(self, size: int) -> None:
        self._size, self._taken = size, 0
        self._line: deque[Callable[[int], None]] = deque()

    @property
    def waiting(self) -> int:
        return len(self._line)

    def take(self, seated: Callable[[int], None]) -> None:
        """Call `seated` as soon as a slot is free, which may be now, with since when, ns; 0: for long.

        The slot is taken until `give`.
        """
        if self._size and self._taken >= self._size:
            self._line.append(seated)
        else:
            self._taken += 1
            seated(0)

    def give(self, at_ns: int) -> None:
        """Free a slot at a moment: the first in line takes it, if any waits."""
        if self._line:
            self._line.popleft()(at_ns)
        else:
            self._taken -= 1
