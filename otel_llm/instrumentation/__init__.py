"""Measuring calls: of decorated functions, of classes that exist already, and of libraries by adapters.

These are the names that an adapter is written with; docs/libraries.md shows one. They change only with a new minor
version, and with a line in the change log.
"""

from otel_llm.instrumentation.calls.hooks import GOES_ON, Arguments, Hooks, MeasuredCall
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries.adapter import Adapter, LibraryTarget, Settings
from otel_llm.record import OTHER, PADDING, REASONING, TEXT, TOOL

__all__ = [
    "GOES_ON",
    "OTHER",
    "PADDING",
    "REASONING",
    "TEXT",
    "TOOL",
    "Adapter",
    "Arguments",
    "Hooks",
    "LibraryTarget",
    "MeasuredCall",
    "Options",
    "Settings",
]
