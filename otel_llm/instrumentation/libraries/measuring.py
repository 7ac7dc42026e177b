"""Every supported library measured: each when it is imported, and what measures it loaded just before that.

So `instrument` loads next to nothing. A program that then imports one of the libraries loads its adapter, numpy and
OpenTelemetry's SDK, before the first line of that library runs. One adapter that fails is logged, the others go on.
"""

import os
import sys
from _thread import RLock
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otel_llm.errors import ConfigError
from otel_llm.instrumentation.libraries.imports import IMPORTS

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from otel_llm.instrumentation.libraries.adapter import LibraryTarget
    from otel_llm.instrumentation.patching.place import Place

__all__ = ["ADAPTERS", "EXCLUDE", "INCLUDE", "OURS", "is_measuring", "measure_libraries", "stop_measuring"]

ADAPTERS: Final = "otel_llm.adapters"
"""The entry point group."""
INCLUDE: Final = "OTEL_LLM_INSTRUMENT_INCLUDE"
EXCLUDE: Final = "OTEL_LLM_INSTRUMENT_EXCLUDE"
"""Names of adapters with commas between them; an argument of the same name wins."""

OURS: Final = {
    "anthropic": "anthropic",
    "bedrock": "botocore",
    "cohere": "cohere",
    "google_genai": "google.genai",
    "groq": "groq",
    "huggingface_hub": "huggingface_hub",
    "langchain_core": "langchain_core",
    "litellm": "litellm",
    "llama_cpp": "llama_cpp",
    "mistralai": "mistralai",
    "ollama": "ollama",
    "openai": "openai",
    "openai_agents": "agents",
    "pydantic_ai": "pydantic_ai",
    "swarm_models": "swarm_models",
    "transformers": "transformers",
    "vllm": "vllm",
}
"""The adapters of this package, and what each waits for. Reading the entry points takes longer than all the rest."""
_HERE: Final = __name__.rpartition(".")[0] + "."

_hooked: Final[set[str]] = set()
"""Modules that tell of their import. wrapt cannot be told to stop, so each is asked once in a process."""


class _Asked(NamedTuple):
    """What a user said. only, never: names of adapters, all where `only` is empty; propagate: see `Settings`"""

    only: frozenset[str]
    never: frozenset[str]
    propagate: bool

    def names(self, adapter: str) -> bool:
        """Return whether an adapter is asked for."""
        return adapter not in self.never and (not self.only or adapter in self.only)


class _Measuring:
    """Libraries measured as one call of `instrument` asks for, until that is stopped."""

    def __init__(self, asked: _Asked) -> None:
        self.asked = asked
        self._lock = RLock()
        self._stopped = False
        self._targets: dict[str, tuple[LibraryTarget, ...]] = {}
        self._places: tuple[Place, ...] = ()

    def begin(self) -> None:
        """Measure what is imported, and wait for the rest."""
        for name, package in OURS.items():
            if self.asked.names(name):
                IMPORTS.before(package, partial(_guarded, name, self._measure_ours, name))
        if not self.asked.only <= OURS.keys() or not self.asked.only:
            IMPORTS.before_any(partial(_guarded, ADAPTERS, self._find_others))

    def stop(self) -> None:
        """Put back what stood where measured functions stand, and wait for nothing more."""
        IMPORTS.forget()
        with self._lock:
            self._stopped, self._targets = True, {}
            if self._places:
                from otel_llm.instrumentation.patching.measured_places import restore
                from otel_llm.instrumentation.patching.others import forget_told

                restore(self._places)
                forget_told()
                self._places = ()

    def _measure_ours(self, name: str) -> None:
        from otel_llm.instrumentation.libraries.adapter import Settings

        self._measure(name, tuple(import_module(_HERE + name).targets(Settings(propagate=self.asked.propagate))))

    def _find_others(self) -> None:
        """Load the adapters of other packages: only they know what they wait for."""
        for name, point in _others().items():
            if self.asked.names(name):
                _guarded(name, self._await_other, name, point)

    def _await_other(self, name: str, point: "EntryPoint") -> None:
        from otel_llm.instrumentation.libraries.adapter import Settings

        targets = tuple(point.load()(Settings(propagate=self.asked.propagate)))
        for module in {target.module for target in targets}:
            IMPORTS.before(module, partial(_guarded, name, self._measure, name, targets))

    def _measure(self, name: str, targets: "tuple[LibraryTarget, ...]") -> None:
        """Measure the targets of an adapter, unless another thread was faster: each when its module is imported."""
        from otel_llm.instrumentation.loading import load_telemetry

        load_telemetry()
        modules = dict.fromkeys(target.module for target in targets)
        for module in modules:
            if module in sys.modules:
                import_module(module)  # has another thread, which is in the middle of it, go on to its end
        with self._lock:
            if not self._stopped and name not in self._targets:
                self._targets[name] = targets
                for module in modules:
                    self._watch(module)

    def _watch(self, name: str) -> None:
        if (module := sys.modules.get(name)) is not None:
            self.imported(module)
        if name not in _hooked:
            import wrapt

            _hooked.add(name)
            wrapt.register_post_import_hook(_imported, name)

    def imported(self, module: ModuleType) -> None:
        """Measure the functions of a module that has been imported. Does not raise."""
        with self._lock:
            for target in (target for targets in self._targets.values() for target in targets):
                if target.module == module.__name__:
                    what = f"adapter of {module.__name__}"
                    self._keep(_guarded(what, _measure_target, module, target, self._keep) or ())

    def _keep(self, places: "Sequence[Place]") -> None:
        with self._lock:
            self._places += tuple(places)


_under_way: _Measuring | None = None
_LOCK: Final = RLock()


def measure_libraries(
    include: Iterable[str] | None = None, exclude: Iterable[str] | None = None, propagate: bool = True
) -> None:
    """Measure what is asked for now, and no more what was asked for before. Twice the same is as good as once.

    include, exclude: names of adapters; all that are installed, or what the environment says, when None
    propagate:        whether W3C trace headers go out with the requests

    Raises ConfigError for a name that no adapter has; then nothing is changed.
    """
    global _under_way
    asked = _Asked(_names(include, INCLUDE), _names(exclude, EXCLUDE), propagate)
    _check(asked.only | asked.never)
    with _LOCK:
        if _under_way is None or _under_way.asked != asked:
            stop_measuring()
            _under_way = _Measuring(asked)
            _under_way.begin()


def stop_measuring() -> None:
    """Put back the very same functions, and measure no library that is imported from now on."""
    global _under_way
    with _LOCK:
        if _under_way is not None:
            _under_way.stop()
            _under_way = None


def is_measuring() -> bool:
    """Return whether libraries are measured, or would be when they are imported."""
    return _under_way is not None


def _imported(module: ModuleType) -> None:
    if (measuring := _under_way) is not None:
        measuring.imported(module)


def _check(names: Iterable[str]) -> None:
    """Raise ConfigError for a name that no adapter has."""
    if unknown := set(names) - OURS.keys():
        known = sorted({*OURS, *_others()})
        if unknown := unknown.difference(known):
            raise ConfigError(f"adapters out of {', '.join(known)}", ", ".join(sorted(unknown)), "correct the name")


def _measure_target(
    module: ModuleType, target: "LibraryTarget", later: "Callable[[Sequence[Place]], object]"
) -> "list[Place]":
    from dataclasses import replace

    from otel_llm.instrumentation.patching.measured_places import put_measured
    from otel_llm.instrumentation.patching.others import NotTakenOver, is_wrapped_by_others, tell_left_to_others

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


def _names(given: Iterable[str] | None, variable: str) -> frozenset[str]:
    if isinstance(given, str):
        given = given.split(",")
    found = os.environ.get(variable, "").split(",") if given is None else given
    return frozenset(name.strip() for name in found if name.strip())


def _others() -> "dict[str, EntryPoint]":
    """Return the adapters that are not in `OURS`, such as those of other packages, in alphabetical order."""
    from otel_llm.entry_points import installed

    ours = {f"{_HERE}{name}:targets" for name in OURS}
    return {name: point for name, point in installed(ADAPTERS).items() if point.value not in ours}


def _guarded(what: str, function: Callable[..., Any], *args: Any) -> Any:
    from otel_llm.instrumentation.calls.isolation import guarded

    return guarded(what, function, *args)
