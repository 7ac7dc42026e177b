"""An exemplar reservoir that keeps the worst: the largest values of a collection cycle, with their spans.

The SDK keeps a random few, so that the one stall of a thousand gaps is most likely not among them. Providers that we
own are made with `WORST`, a view under which an exemplar of a latency points at the trace of its worst case.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import Exemplar, ExemplarReservoir, Histogram
from opentelemetry.sdk.metrics.view import View
from opentelemetry.trace import get_current_span
from opentelemetry.util.types import Attributes

__all__ = ["WORST", "LargestReservoir", "largest"]

_KEPT: Final = 4
"""Exemplars per cycle of a histogram without explicit buckets."""


class LargestReservoir(ExemplarReservoir):
    """Keeps the largest value per explicit bucket, or the four largest where there are no such buckets.

    boundaries: upper bounds of the explicit buckets, inclusive, as the SDK passes them
    """

    def __init__(self, boundaries: Sequence[float] | None = None, **_: Any) -> None:
        self._boundaries = boundaries
        self._lock = threading.Lock()
        self._kept: dict[int, tuple[float, int, Attributes, Context]] = {}

    def offer(self, value: float, time_unix_nano: int, attributes: Attributes, context: Context) -> None:
        with self._lock:
            place = self._place(value)
            if place is not None:
                self._kept[place] = (value, time_unix_nano, attributes, context)

    def _place(self, value: float) -> int | None:
        if self._boundaries is not None:
            place = bisect_left(self._boundaries, value)
            return place if place not in self._kept or value > self._kept[place][0] else None
        if len(self._kept) < _KEPT:
            return len(self._kept)
        least = min(self._kept, key=lambda place: self._kept[place][0])
        return least if value > self._kept[least][0] else None

    def collect(self, point_attributes: Attributes) -> list[Exemplar]:
        with self._lock:
            kept, self._kept = self._kept, {}
        known = point_attributes or {}
        exemplars = []
        for value, at, attributes, context in sorted(kept.values(), key=lambda entry: entry[0]):
            span = get_current_span(context).get_span_context()
            rest = {name: v for name, v in (attributes or {}).items() if name not in known}
            ids = (span.span_id, span.trace_id) if span.is_valid else (None, None)
            exemplars.append(Exemplar(rest, value, at, *ids))
        return exemplars


def largest(_aggregation: type) -> Callable[..., ExemplarReservoir]:
    """Return what makes a reservoir: the form in which a `View` wants it, as `exemplar_reservoir_factory`."""
    return LargestReservoir


WORST: Final = View(instrument_type=Histogram, exemplar_reservoir_factory=largest)
"""A view on all histograms, which leaves name, attributes and aggregation to the reader."""
