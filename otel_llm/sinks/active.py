"""How many calls are under way, counted when somebody collects.

A call puts itself into a set when it begins and takes itself out when it ends: no lock, no attributes hashed by the
SDK, a tenth of the price of two additions to a counter. Once out it is out, so nothing is counted down twice.
"""

from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from otel_llm.conventions import Instrument

__all__ = ["ActiveCalls"]


class ActiveCalls(dict[tuple[tuple[str, Any], ...], set[object]]):
    """The calls under way of one sink, by the attributes (name and value of each) under which they are counted.

    Add a call to its set as it begins, and discard it as it ends.
    """

    def __init__(self, collecting: Callable[[], object]) -> None:
        """collecting: called when somebody collects, before what the SDK holds is read"""
        self._collecting = collecting

    def __missing__(self, attributes: tuple[tuple[str, Any], ...]) -> set[object]:
        return self.setdefault(attributes, set())

    def make_instrument(self, meter: Meter, wanted: Instrument, name: str) -> None:
        """Make the instrument that tells how many they are. Attributes of which there was one once are told with 0."""
        meter.create_observable_up_down_counter(name, [self._observe], wanted.unit, wanted.description)

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        self._collecting()
        return [Observation(len(calls), dict(attributes)) for attributes, calls in tuple(self.items())]
