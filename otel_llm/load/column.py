"""A long column of numbers that does not stay in memory: the values of a measure over a run of any length."""

import tempfile
from array import array
from typing import IO

import numpy as np

from otel_llm.measures import Floats

__all__ = ["Column"]

_BLOCK = 1 << 18


class Column:
    """float64 values in order. What is beyond the last quarter of a million lies in a temporary file, 8 bytes each.

    The file has no name and goes away with the process, however that ends.
    """

    def __init__(self, block: int = _BLOCK) -> None:
        self._block = block
        self._recent = array("d")
        self._file: IO[bytes] | None = None
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
        """The mean of all, None of none."""
        return self._sum / len(self) if len(self) else None

    def recent(self, count: int) -> Floats:
        """Return the latest values, at most `count` and at most what is in memory."""
        return np.array(self._recent[-count:], np.float64)

    def all(self) -> Floats:
        """Return every value, in memory."""
        if self._file is None:
            return np.array(self._recent, np.float64)
        self._file.flush()
        spilled = np.memmap(self._file, np.float64, "r", shape=(self._spilled,))
        return np.concatenate([spilled, np.frombuffer(self._recent)])

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="otel-llm-")  # noqa: SIM115  # it lives as long as the column
        self._file.seek(0, 2)
        self._recent.tofile(self._file)
        self._spilled += len(self._recent)
        self._recent = array("d")
