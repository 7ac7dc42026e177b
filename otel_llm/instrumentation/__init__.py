"""Measuring calls: of decorated functions, of classes that exist already, and of libraries by adapters.

These are the names that an adapter is written with; docs/libraries.md shows one. They change only with a new minor
version, and with a line in the change log.
"""

from typing import TYPE_CHECKING

from otel_llm.loaded_later import loaded_later

if TYPE_CHECKING:
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

__getattr__ = loaded_later(
    __name__,
    {
        "Adapter": ("otel_llm.instrumentation.libraries.adapter", "Adapter"),
        "Arguments": ("otel_llm.instrumentation.calls.hooks", "Arguments"),
        "GOES_ON": ("otel_llm.instrumentation.calls.hooks", "GOES_ON"),
        "Hooks": ("otel_llm.instrumentation.calls.hooks", "Hooks"),
        "LibraryTarget": ("otel_llm.instrumentation.libraries.adapter", "LibraryTarget"),
        "MeasuredCall": ("otel_llm.instrumentation.calls.hooks", "MeasuredCall"),
        "OTHER": ("otel_llm.record", "OTHER"),
        "Options": ("otel_llm.instrumentation.calls.options", "Options"),
        "PADDING": ("otel_llm.record", "PADDING"),
        "REASONING": ("otel_llm.record", "REASONING"),
        "Settings": ("otel_llm.instrumentation.libraries.adapter", "Settings"),
        "TEXT": ("otel_llm.record", "TEXT"),
        "TOOL": ("otel_llm.record", "TOOL"),
    },
)
"""`instrument` loads none of it before there is something to measure."""
