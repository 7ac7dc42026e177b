"""The load generator. `otel_llm.load.run(...)` is `otel-llm perf` for Python, loaded when it is asked for."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otel_llm.load.api.result import LoadRun
    from otel_llm.load.api.running import run, run_async
    from otel_llm.load.api.studies import find, find_async, sweep, sweep_async
    from otel_llm.load.api.study import LoadStudy

__all__ = ["LoadRun", "LoadStudy", "find", "find_async", "run", "run_async", "sweep", "sweep_async"]

_LATER = {
    "LoadRun": "otel_llm.load.api.result",
    "LoadStudy": "otel_llm.load.api.study",
    "find": "otel_llm.load.api.studies",
    "find_async": "otel_llm.load.api.studies",
    "run": "otel_llm.load.api.running",
    "run_async": "otel_llm.load.api.running",
    "sweep": "otel_llm.load.api.studies",
    "sweep_async": "otel_llm.load.api.studies",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for: a worker process imports this package and needs none of it."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return __all__
