"""When the reads of one answer arrived: our own stamps and the kernel's, noted as they come.

Both stamps of a read are kept as they are. Computing one number from them per read would take longer than all the rest
that is done for a packet, so the load generator's coordinator does it later, for many answers together.
"""

from struct import Struct
from typing import Final

import msgspec

__all__ = ["NO_STAMP", "OLDEST_NS", "Arrivals"]

_TIMESPEC: Final = Struct("qq")
OLDEST_NS: Final = 5_000_000_000
"""A kernel stamp that is this much older than ours cannot be true: the wall clock was stepped."""
_STEP_NS: Final = 2_000_000
"""A wall clock that moves by more than this against ours was stepped; by less, it is being slewed."""
NO_STAMP: Final = bytes(_TIMESPEC.size)
"""What stands for the kernel's stamp of a read that has none."""


class Arrivals(msgspec.Struct, array_like=True):
    """The reads of one answer, by their number from 1. The connection notes them.

    own:     our own stamp of each, int64 ns, in parts
    stamps:  the kernel's, struct timespec each, in parts; empty where there are only our own
    offsets: (how many reads came before, how far the wall clock was then from ours)
    """

    count: int = 0
    own: list[bytes] = []
    stamps: list[bytes] = []
    offsets: list[tuple[int, int]] = []

    def at(self, number: int) -> int:
        """Return when one read arrived, ns on our clock: the kernel's stamp, or our own where that cannot be true."""
        (own,) = Struct("q").unpack_from(b"".join(self.own), (number - 1) * 8)
        if not self.offsets:
            return int(own)
        seconds, nanoseconds = _TIMESPEC.unpack_from(b"".join(self.stamps), (number - 1) * _TIMESPEC.size)
        offset = next(offset for before, offset in reversed(self.offsets) if before < number)
        kernel = seconds * 1_000_000_000 + nanoseconds - offset
        return kernel if 0 <= own - kernel < self.oldest_ns else int(own)

    @property
    def oldest_ns(self) -> int:
        """How old a kernel stamp may be: half of a step that the wall clock made in the course of the answer."""
        known = [offset for _, offset in self.offsets]
        step = max(known) - min(known) if len(known) > 1 else 0
        return min(step // 2, OLDEST_NS) if step > _STEP_NS else OLDEST_NS
