"""`instrument` and `uninstrument`: measure what exists already, a class, an object or a module, and stop doing so."""

import sys
import threading
from collections.abc import Iterable, Sequence
from types import FunctionType
from typing import Any, Final, Unpack, overload

from otel_llm.errors import ConfigError
from otel_llm.instrumentation.calls.call import NO_HOOKS
from otel_llm.instrumentation.calls.options import OptionArguments, Options
from otel_llm.instrumentation.loading import load_telemetry
from otel_llm.instrumentation.patching.measured_places import put_measured, restore
from otel_llm.instrumentation.patching.place import Place

__all__ = ["instrument", "uninstrument"]

_INSTRUMENTOR: Final = "otel_llm.instrumentation.libraries.instrumentor"
_LOCK: Final = threading.RLock()
_places: Final[list[tuple[int, Place]]] = []
"""With the id of what the caller instrumented, in the order in which they were made."""


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
    """Measure every call of what exists already. Twice is as good as once.

    With nothing but `include`, `exclude` and `propagate`: every supported library that is installed, see
    `LLMInstrumentor`. Else the functions of `target` by their names, as `metrics` would, with its arguments:

    a class:   its methods, inherited ones too, and those of its subclasses, also of classes made later
    an object: its methods, of this object alone
    a module:  its functions, also where another module has imported them by name

    Raises ConfigError when a name is not there, or cannot be replaced.
    """
    if target is None:
        from otel_llm.instrumentation.libraries.instrumentor import LLMInstrumentor

        instrumentor = LLMInstrumentor()
        if not instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.instrument(include=include, exclude=exclude, propagate=propagate)
        return
    if isinstance(target, FunctionType):
        raise ConfigError(
            "a class, an object or a module", target, "give the module that has the function, and its name"
        )
    if not names:
        raise ConfigError("the names of functions", (), "such as instrument(TheirClass, 'generate')")
    said, owner = Options.given("instrument", options), id(target)
    load_telemetry()

    def keep(places: Sequence[Place]) -> None:
        with _LOCK:
            _places.extend((owner, place) for place in places)

    with _LOCK:
        _places[:] = [entry for entry in _places if entry[1].owner is not None]
        keep(put_measured(target, names, said, NO_HOOKS, keep))


def uninstrument(target: Any = None, /) -> None:
    """Put back the very same functions: those of `target`, or everything. What is not measured stays as it is."""
    if target is None and _INSTRUMENTOR in sys.modules:
        instrumentor = sys.modules[_INSTRUMENTOR].LLMInstrumentor()
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()
    with _LOCK:
        mine = [entry for entry in _places if target is None or entry[0] == id(target)]
        restore([place for _, place in mine])
        _places[:] = [entry for entry in _places if entry not in mine]
