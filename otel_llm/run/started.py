"""What `otel-llm run` does inside of the program, before the program's first line."""

import logging
import os
from importlib.metadata import EntryPoint, entry_points

from opentelemetry.instrumentation.dependencies import get_dist_dependency_conflicts

from otel_llm.configured import configure
from otel_llm.instrumentation.calls.isolation import guarded

__all__ = ["measure_this_process"]

_log = logging.getLogger("otel_llm")


def measure_this_process() -> None:
    """Set up telemetry that is shown, and instrument every library that there is an instrumentation for.

    Raises nothing: the program runs all the same.
    """
    try:
        configure(show=True)
    except Exception as error:
        _log.warning("the program runs unmeasured: %s", error)
        return
    never = {name.strip() for name in os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")}
    for point in entry_points(group="opentelemetry_instrumentor"):
        if never.isdisjoint((point.name, "*")):
            guarded(f"instrumentation {point.name}", _instrument, point)


def _instrument(point: EntryPoint) -> None:
    """Start one instrumentation, unless what it is for is not installed."""
    if point.dist is None or get_dist_dependency_conflicts(point.dist) is None:
        point.load()().instrument(skip_dep_check=True)
