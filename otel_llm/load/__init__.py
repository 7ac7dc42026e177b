"""The load generator. `otel_llm.load.run(...)` is `otel-llm perf` for Python, loaded when it is asked for."""

from typing import TYPE_CHECKING

from otel_llm.loaded_later import loaded_later

if TYPE_CHECKING:
    from otel_llm.load.api.result import LoadRun
    from otel_llm.load.api.running import run, run_async
    from otel_llm.load.api.studies import find, find_async, sweep, sweep_async
    from otel_llm.load.api.study import LoadStudy

__all__ = ["LoadRun", "LoadStudy", "find", "find_async", "run", "run_async", "sweep", "sweep_async"]

# a worker process imports this package and needs none of it
__getattr__ = loaded_later(
    __name__,
    {
        "LoadRun": ("otel_llm.load.api.result", "LoadRun"),
        "LoadStudy": ("otel_llm.load.api.study", "LoadStudy"),
        "find": ("otel_llm.load.api.studies", "find"),
        "find_async": ("otel_llm.load.api.studies", "find_async"),
        "run": ("otel_llm.load.api.running", "run"),
        "run_async": ("otel_llm.load.api.running", "run_async"),
        "sweep": ("otel_llm.load.api.studies", "sweep"),
        "sweep_async": ("otel_llm.load.api.studies", "sweep_async"),
    },
)


def __dir__() -> list[str]:
    return __all__
