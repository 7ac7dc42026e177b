"""When the reads of one answer arrived: noted as it comes, reckoned later, for many answers at once.

Per read the kernel's stamp and our own are kept as they are, and joined by the dozen. To make one number of them at
once would take longer than all the rest that is done for a packet.
"""

from collections.abc import Sequence
from itertools import chain
from struct import Struct, pack
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["NO_STAMP", "Arrivals", "moments"]

_TIMESPEC: Final = Struct("qq")
_OLDEST_NS: Final = 5_000_000_000
_NEVER: Final = -(1 << 62)  # an offset by which a stamp is from the future, and refused
NO_STAMP: Final = bytes(_TIMESPEC.size)
"""What stands for the kernel's stamp of a read that has none."""

Ints = NDArray[np.int64]


class Arrivals(msgspec.Struct, array_like=True):
    """The reads of one answer, by their number from 1.

    own:     our own stamp of each, int64 ns, in parts
    stamps:  the kernel's, struct timespec each, in parts; none at all where only our own are to be had
    offsets: (how many reads came before, how far the wall clock was then from ours)
    """

    count: int = 0
    own: list[bytes] = []
    stamps: list[bytes] = []
    offsets: list[tuple[int, int]] = []

    def add(self, own: Sequence[int], stamps: Sequence[bytes] = (), offset: int | None = None) -> None:
        """Take reads: our own stamp of each, the kernel's, and the present offset of the wall clock, ns."""
        self.own.append(pack(f"{len(own)}q", *own))
        if offset is not None:
            self.stamps.append(b"".join(stamps))
            if not self.offsets or self.offsets[-1][1] != offset:
                self.offsets.append((self.count, offset))
        self.count += len(own)

    def at(self, number: int) -> int:
        """Return when one read arrived, ns on our clock. See `moments`."""
        (own,) = Struct("q").unpack_from(b"".join(self.own), (number - 1) * 8)
        if not self.offsets:
            return int(own)
        seconds, nanoseconds = _TIMESPEC.unpack_from(b"".join(self.stamps), (number - 1) * _TIMESPEC.size)
        offset = next(offset for before, offset in reversed(self.offsets) if before < number)
        kernel = seconds * 1_000_000_000 + nanoseconds - offset
        return kernel if 0 <= own - kernel < _OLDEST_NS else int(own)


def moments(answers: Sequence[Arrivals]) -> tuple[Ints, Ints]:
    """Return when each read of some answers arrived, ns on our clock, and how long it then waited for us.

    The moment is that of the kernel's stamp. Where there is none, or one that cannot be true (later than our own, or
    five seconds before it: the wall clock was stepped), it is our own, and the wait is 0.
    """
    own = np.frombuffer(b"".join(chain.from_iterable(a.own for a in answers)), np.int64)
    parts = chain.from_iterable(a.stamps or (NO_STAMP * a.count,) for a in answers)
    stamps = np.frombuffer(b"".join(parts), np.int64)
    offsets, reads = list[int](), list[int]()
    for answer in answers:
        steps = answer.offsets or [(0, _NEVER)]
        offsets += [offset for _, offset in steps]
        starts = [before for before, _ in steps]
        reads += [stop - start for start, stop in zip(starts, [*starts[1:], answer.count], strict=True)]
    at = stamps[::2] * 1_000_000_000 + stamps[1::2] - np.repeat(np.array(offsets, np.int64), reads)
    lag = own - at
    lag[(lag < 0) | (lag >= _OLDEST_NS)] = 0
    return own - lag, lag
