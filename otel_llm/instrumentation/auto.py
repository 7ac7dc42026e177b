"""`instrument` and `uninstrument`: measure what exists already, a class, an object or a module, and stop doing so."""

import sys
from collections.abc import Iterable
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, Unpack, overload

from otel_llm.errors import ConfigError
from otel_llm.instrumentation.libraries.measuring import measure_libraries, stop_measuring

if TYPE_CHECKING:
    from otel_llm.instrumentation.calls.options import OptionArguments

__all__ = ["instrument", "uninstrument"]

_BY_TARGET: Final = "otel_llm.instrumentation.patching.by_target"


@overload
def instrument(
    *, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None, propagate: bool = True
) -> None: ...
@overload
def instrument(target: Any, /, *names: str, **options: "Unpack[OptionArguments]") -> None: ...
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

    With nothing but `include`, `exclude` and `propagate`: every supported library, from when it is imported, see
    `LLMInstrumentor`. Else the functions of `target` by their names, as `metrics` would, with its arguments:

    a class:   its methods, inherited ones too, and those of its subclasses, also of classes made later
    an object: its methods, of this object alone
    a module:  its functions, also where another module has imported them by name

    Raises ConfigError when a name is not there, or cannot be replaced.
    """
    if target is None:
        measure_libraries(include, exclude, propagate)
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
    from otel_llm.instrumentation.patching.by_target import measure_functions

    measure_functions(target, names, options)


def uninstrument(target: Any = None, /) -> None:
    """Put back the very same functions: those of `target`, or everything. What is not measured stays as it is."""
    if target is None:
        stop_measuring()
    if _BY_TARGET in sys.modules:
        sys.modules[_BY_TARGET].stop_measuring_functions(target)
