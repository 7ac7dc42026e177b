"""`LLMInstrumentor`: every supported library that is installed, without a change to the program.

OpenTelemetry finds it under the entry point `otel_llm`, so `opentelemetry-instrument python app.py` is enough. A
library is instrumented when it is imported. One adapter that fails is logged, and the others go on.
"""

import os
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Final

import wrapt
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from otel_llm.errors import ConfigError
from otel_llm.instrumentation.calls.isolation import guarded
from otel_llm.instrumentation.libraries.adapter import ADAPTERS, LibraryTarget, Settings
from otel_llm.instrumentation.loading import load_telemetry
from otel_llm.instrumentation.patching.measured_places import put_measured, restore
from otel_llm.instrumentation.patching.others import (
    NotTakenOver,
    forget_told,
    is_wrapped_by_others,
    tell_left_to_others,
)
from otel_llm.instrumentation.patching.place import Place

__all__ = ["EXCLUDE", "INCLUDE", "LLMInstrumentor"]

INCLUDE: Final = "OTEL_LLM_INSTRUMENT_INCLUDE"
EXCLUDE: Final = "OTEL_LLM_INSTRUMENT_EXCLUDE"
"""Names of adapters with commas between them; an argument of the same name wins."""

_hooked: Final[set[str]] = set()
"""Modules that tell of their import. wrapt cannot be told to stop, so each is asked once in a process."""


class LLMInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # not typed
    """Measures the libraries that adapters know.

    `instrument(include=…, exclude=…, propagate=True)`: names of adapters, by default all that are installed; whether
    W3C trace headers go out with the requests. Raises ConfigError for a name that no adapter has.
    """

    _lock = threading.RLock()
    _targets: tuple[LibraryTarget, ...] = ()
    _places: tuple[Place, ...] = ()
    _asked: tuple[Any, ...] = ()

    def instrument_anew(self, include: Iterable[str] | None, exclude: Iterable[str] | None, propagate: bool) -> None:
        """Measure what is asked for now, and no more what was asked for before. Twice the same is as good as once."""
        only, never = _names(include, INCLUDE), _names(exclude, EXCLUDE)
        _select(only, never)  # an error is raised before anything is changed
        if self.is_instrumented_by_opentelemetry:
            if self._asked == (only, never, propagate):
                return
            self.uninstrument()
        self.instrument(include=only, exclude=never, propagate=propagate)

    def instrumentation_dependencies(self) -> Collection[str]:
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        settings = Settings(propagate=kwargs.get("propagate", True))
        only, never = _names(kwargs.get("include"), INCLUDE), _names(kwargs.get("exclude"), EXCLUDE)
        self._asked = only, never, settings.propagate
        points = _select(only, never)
        load_telemetry()
        with self._lock:
            self._targets = tuple(
                target for point in points for target in guarded(point.name, _read, point, settings) or ()
            )
        for module in dict.fromkeys(target.module for target in self._targets):
            self._watch(module)

    def _uninstrument(self, **kwargs: Any) -> None:
        with self._lock:
            self._targets = ()
            restore(self._places)
            forget_told()
            self._places = ()

    def _watch(self, name: str) -> None:
        if (module := sys.modules.get(name)) is not None:
            self._imported(module)
        if name not in _hooked:
            _hooked.add(name)
            wrapt.register_post_import_hook(self._imported, name)

    def _imported(self, module: ModuleType) -> None:
        """Measure the functions of a module that has been imported. Called by wrapt, and must not raise."""
        with self._lock:
            for target in self._targets:
                if target.module == module.__name__:
                    self._keep(guarded(f"adapter of {module.__name__}", _measure, module, target, self._keep) or ())

    def _keep(self, places: Sequence[Place]) -> None:
        with self._lock:
            self._places += tuple(places)


def _select(only: set[str], never: set[str]) -> list[EntryPoint]:
    """Return the adapters that are asked for, in alphabetical order. Raises ConfigError for a name that none has."""
    points = {point.name: point for point in sorted(entry_points(group=ADAPTERS))}
    if unknown := (only | never) - set(points):
        raise ConfigError(f"adapters out of {', '.join(points)}", ", ".join(sorted(unknown)), "correct the name")
    return [point for name, point in points.items() if name not in never and (not only or name in only)]


def _names(given: Iterable[str] | None, variable: str) -> set[str]:
    if isinstance(given, str):
        given = given.split(",")
    found = os.environ.get(variable, "").split(",") if given is None else given
    return {name.strip() for name in found if name.strip()}


def _read(point: EntryPoint, settings: Settings) -> tuple[LibraryTarget, ...]:
    return tuple(point.load()(settings))


def _measure(module: ModuleType, target: LibraryTarget, later: Callable[[Sequence[Place]], object]) -> list[Place]:
    owner: Any = getattr(module, target.owner, None) if target.owner else module
    places: list[Place] = []
    for name in target.names:
        if (function := getattr(owner, name, None)) is None:
            continue
        if is_wrapped_by_others(function):
            tell_left_to_others(owner, name)
            continue
        ours = NotTakenOver(name)
        hooks = replace(target.hooks, when=ours)
        made = put_measured(owner, (name,), target.options, hooks, later, early=target.early, below=target.below)
        ours.watch(made)
        places += made
    return places
