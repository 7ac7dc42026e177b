"""When reads arrived, on one clock: what `Arrivals` noted, reckoned for many answers at once."""

from collections.abc import Sequence
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from otel_llm.wire.arrivals import NO_STAMP, OLDEST_NS, Arrivals

__all__ = ["moments"]

_NEVER: Final = -(1 << 62)  # an offset by which a stamp is from the future, and refused

Ints = NDArray[np.int64]


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
    lag[(lag < 0) | (lag >= OLDEST_NS)] = 0
    return own - lag, lag
