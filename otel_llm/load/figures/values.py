"""Many values of a run, collected in little memory."""

import math
import os
from io import SEEK_END, BytesIO
from tempfile import TemporaryFile
from typing import IO, Final

import numpy as np

from otel_llm.measures import Floats

__all__ = ["Values"]

_IN_MEMORY: Final = 1 << 18


class Values:
    """float64 values in the order in which they were added. Beyond 256 KiB they lie in a file that has no name."""

    def __init__(self, in_memory: int = _IN_MEMORY) -> None:
        self._file: IO[bytes] = BytesIO()
        self._in_memory: float = in_memory
        self._count, self._sum = 0, 0.0

    def __len__(self) -> int:
        return self._count

    def extend(self, values: Floats) -> None:
        """Append values, float64[n]."""
        if not len(values):
            return
        data, before = np.ascontiguousarray(values, np.float64).tobytes(), self._count * 8
        try:
            if before + len(data) > self._in_memory and isinstance(self._file, BytesIO):
                self._file = _moved(self._file)
            _write_at_end(self._file, data)
        except OSError:  # no room in the folder for temporary files: memory has to do
            if not isinstance(self._file, BytesIO):
                self._file = BytesIO(os.pread(self._file.fileno(), before, 0))
            self._in_memory = math.inf
            _write_at_end(self._file, data)
        self._count, self._sum = self._count + len(values), self._sum + float(values.sum())

    @property
    def mean(self) -> float | None:
        """The mean of all values, None when there are none."""
        return self._sum / self._count if self._count else None

    def recent(self, count: int) -> Floats:
        """Return the latest values, at most `count`."""
        self._file.seek(max(self._count - count, 0) * 8)
        return np.frombuffer(self._file.read())

    def all(self) -> Floats:
        """Return every value, in memory, in an array that may be changed."""
        found = np.empty(self._count)
        self._file.seek(0)
        if self._count:
            found.data.cast("B")[:] = self._file.read()
        return found


def _moved(memory: BytesIO) -> IO[bytes]:
    """Return a file with the same bytes that is gone when it is closed. Raises OSError where there is no room."""
    file = TemporaryFile(prefix="otel-llm-", buffering=0)  # noqa: SIM115  # as long as the values
    _write_at_end(file, memory.getvalue())
    return file


def _write_at_end(file: IO[bytes], data: bytes) -> None:
    file.seek(0, SEEK_END)
    while data:
        data = data[file.write(data) :]
