"""The mean of what is counted in twenty equal parts of a run, and its 95 % interval by the spread between the parts."""

import math
from typing import Any, Final

from numpy.typing import NDArray

from otel_llm.load.figures.student import student_quantile

__all__ = ["PARTS", "mean_of_parts"]

PARTS: Final = 20


def mean_of_parts(parts: NDArray[Any]) -> tuple[float, float]:
    """Return the mean of as many parts as `PARTS` says, and how far its interval reaches to either side."""
    return float(parts.mean()), student_quantile(0.975, PARTS - 1) * float(parts.std(ddof=1)) / math.sqrt(PARTS)
