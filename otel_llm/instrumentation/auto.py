"""`instrument` and `uninstrument`: measure what exists already, a class, an object or a module, and stop doing so."""

import logging
import sys
import threading
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from types import FunctionType
from typing import Any, Final, NamedTuple, Unpack, overload

from otel_llm.errors import ConfigError
from otel_llm.instrumentation.calls.call import NO_HOOKS
from otel_llm.instrumentation.calls.options import OptionArguments, Options
from otel_llm.instrumentation.loading import load_telemetry
from otel_llm.instrumentation.patching.measured_places import measured_as, put_measured, restore
from otel_llm.instrumentation.patching.place import Place

__all__ = ["instrument", "uninstrument"]

_INSTRUMENTOR: Final = "otel_llm.instrumentation.libraries.instrumentor"
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


@overload
def instrument(
    *, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None, propagate: bool = True
) -> None: ...
@overload
def instrument(target: Any, /, *names: str, **options: Unpack[OptionArguments]) -> None: ...
def instrument(
    target: Any = None,
    /,
    *names: str,
    include: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    propagate: bool = True,
    **options: Any,
) -> None:
    """Measure every call of what exists already. Twice is as good as once; what is said last of a function holds.

    With nothing but `include`, `exclude` and `propagate`: every supported library that is installed, see
    `LLMInstrumentor`. Else the functions of `target` by their names, as `metrics` would, with its arguments:

    a class:   its methods, inherited ones too, and those of its subclasses, also of classes made later
    an object: its methods, of this object alone
    a module:  its functions, also where another module has imported them by name

    Raises ConfigError when a name is not there, or cannot be replaced.
    """
    if target is None:
        from otel_llm.instrumentation.libraries.instrumentor import LLMInstrumentor

        LLMInstrumentor().instrument_anew(include=include, exclude=exclude, propagate=propagate)
        return
    if isinstance(target, str):
        raise ConfigError(
            "a class, an object or a module", target, f"for a library write instrument(include=[{target!r}])"
        )
    if isinstance(target, FunctionType):
        raise ConfigError(
            "a class, an object or a module", target, "give the module that has the function, and its name"
        )
    if not names:
        raise ConfigError("the names of functions", (), "such as instrument(TheirClass, 'generate')")
    said = Options.given("instrument", options)
    load_telemetry()
    with _LOCK:
        _places[:] = [kept for kept in _places if kept.place.owner is not None]
        stale = [kept for kept in _places if kept.is_of(target, names) and kept.said != said]
        again = {kept.name for kept in stale}
        _put(target, [name for name in names if name not in again], said)  # all of it, or an error and nothing
        _take_away(stale)
        _put(target, [name for name in names if name in again], said)


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


def uninstrument(target: Any = None, /) -> None:
    """Put back the very same functions: those of `target`, or everything. What is not measured stays as it is."""
    if target is None and _INSTRUMENTOR in sys.modules:
        instrumentor = sys.modules[_INSTRUMENTOR].LLMInstrumentor()
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()
    with _LOCK:
        _take_away([kept for kept in _places if target is None or kept.owner == id(target)])
