"""The page of the Python API: each name that a package exports, for mkdocstrings to fill with its docstring."""

from importlib import import_module
from types import ModuleType
from typing import Any, Final

__all__ = ["PACKAGES", "python_page"]

PACKAGES: Final = {
    "otel_llm": "Measure calls",
    "otel_llm.models": "Models",
    "otel_llm.load": "Load runs",
    "otel_llm.testing": "Test doubles",
    "otel_llm.instrumentation": "Write an adapter for a library",
    "otel_llm.wire.protocol": "Write a protocol",
    "otel_llm.errors": "Errors",
}
"""The packages whose names are public. Everything else may change without notice."""


def python_page() -> str:
    """Return the page, as Markdown with a directive for each class and function."""
    lines = ["# Python API", "", "Everything that is public. What is not here may change without notice.", ""]
    for package, title in PACKAGES.items():
        lines += [f"## {title}: `{package}`", "", f"::: {package}", "    options:", "      members: false", ""]
        lines += _names(package)
    return "\n".join(lines)


def _names(package: str) -> list[str]:
    module = import_module(package)
    found = {name: getattr(module, name) for name in module.__all__ if not name.startswith("__")}
    constants = [f"| `{name}` | `{value!r}` |" for name, value in found.items() if _is_constant(value)]
    table = ["| constant | value |", "|---|---|", *constants, ""] if constants else []
    documented = [
        name for name, value in found.items() if not _is_constant(value) and not isinstance(value, ModuleType)
    ]
    return table + [line for name in documented for line in (f"::: {package}.{name}", "")]


def _is_constant(value: Any) -> bool:
    return isinstance(value, int | str | tuple)
