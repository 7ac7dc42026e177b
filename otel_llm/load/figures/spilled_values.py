"""A long list of numbers, most of it in a file: the values of one measure over a run of any length."""

import tempfile
from array import array
from io import BufferedRandom

import numpy as np

from otel_llm.measures import Floats

__all__ = ["SpilledValues"]

_BLOCK = 1 << 15


class SpilledValues:
    """float64 values in the order in which they were added. Beyond 32,768 they spill to a temporary file, 8 bytes each.

    The file has no name, so it is gone when the process ends, however that ends.
    """

    def __init__(self, block: int = _BLOCK) -> None:
        self._block = block
        self._recent = array("d")
        self._file: BufferedRandom | None = None
        self._spilled = 0
        self._sum = 0.0

    def __len__(self) -> int:
        return self._spilled + len(self._recent)

    def extend(self, values: Floats) -> None:
        """Append values, float64[n]."""
        if len(values):
            self._sum += float(values.sum())
            self._recent.frombytes(np.ascontiguousarray(values, np.float64).tobytes())
            if len(self._recent) >= self._block:
                self._spill()

    @property
    def mean(self) -> float | None:
        """The mean of all values, None when there are none."""
        return self._sum / len(self) if len(self) else None

    def recent(self, count: int) -> Floats:
        """Return the latest values, at most `count` and at most what is in memory."""
        return np.array(self._recent[-count:], np.float64)

    def all(self) -> Floats:
        """Return every value, in memory."""
        found = np.empty(len(self))
        if self._file is not None:
            self._file.seek(0)
            self._file.readinto(found[: self._spilled].data.cast("B"))
        found[self._spilled :] = self._recent
        return found

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="otel-llm-")  # noqa: SIM115  # it lives as long as this object
        self._file.seek(0, 2)
        self._recent.tofile(self._file)
        self._spilled += len(self._recent)
        self._recent = array("d")
