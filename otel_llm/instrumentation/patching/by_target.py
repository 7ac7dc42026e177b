"""What was instrumented by name: functions of a class, an object or a module, and what was said of each."""

import logging
import threading
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from otel_llm.instrumentation.calls.call import NO_HOOKS
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.loading import load_telemetry
from otel_llm.instrumentation.patching.measured_places import measured_as, put_measured, restore
from otel_llm.instrumentation.patching.place import Place

__all__ = ["measure_functions", "stop_measuring_functions"]

_LOCK: Final = threading.RLock()
_log: Final = logging.getLogger("otel_llm.instrumentation")
_places: Final[list["_Kept"]] = []
"""In the order in which they were made."""


class _Kept(NamedTuple):
    """A place, and what it was made for: the id of what the caller instrumented, the name, what was said."""

    owner: int
    name: str
    said: Options
    place: Place

    def is_of(self, target: Any, names: Collection[str]) -> bool:
        """Return whether it was made for one of these names of `target`."""
        return self.owner == id(target) and self.name in names


def measure_functions(target: Any, names: Sequence[str], options: Mapping[str, Any]) -> None:
    """Measure functions of `target` by their names; what is said last of a function holds.

    Raises ConfigError when a name is not there, or cannot be replaced; then nothing is changed.
    """
    said = Options.given("instrument", options)
    load_telemetry()
    with _LOCK:
        _places[:] = [kept for kept in _places if kept.place.owner is not None]
        stale = [kept for kept in _places if kept.is_of(target, names) and kept.said != said]
        again = {kept.name for kept in stale}
        _put(target, [name for name in names if name not in again], said)  # all of it, or an error and nothing
        _take_away(stale)
        _put(target, [name for name in names if name in again], said)


def stop_measuring_functions(target: Any = None) -> None:
    """Put back the very same functions of `target`, or of everything that was instrumented by name."""
    with _LOCK:
        _take_away([kept for kept in _places if target is None or kept.owner == id(target)])


def _put(target: Any, names: Sequence[str], said: Options) -> None:
    before = len(_places)
    try:
        for name in names:
            keep = partial(_keep, target, name, said)
            if places := put_measured(target, (name,), said, NO_HOOKS, keep):
                keep(places)
            elif said not in (Options(), told := measured_as(target, name)):
                _log.warning("%s is measured already, by what was said elsewhere: %s", name, told)
    except BaseException:
        _take_away(_places[before:])
        raise


def _keep(target: Any, name: str, said: Options, places: Sequence[Place]) -> None:
    with _LOCK:
        _places.extend(_Kept(id(target), name, said, place) for place in places)


def _take_away(gone: Sequence[_Kept]) -> None:
    restore([kept.place for kept in gone])
    _places[:] = [kept for kept in _places if kept not in gone]
