"""How each library is switched on, as its own documents say: quiet (no content, no network), or as it comes."""

import importlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

QUIET: Mapping[str, Mapping[str, str]] = {
    "bare": {},
    "otel_llm": {},
    "genai": {},
    "openai_v2": {},
    "openlit": {},
    "traceloop": {"TRACELOOP_TRACE_CONTENT": "false"},
    "openinference": {"OPENINFERENCE_HIDE_INPUTS": "true", "OPENINFERENCE_HIDE_OUTPUTS": "true"},
}
"""What each wants in the environment so that it keeps no content."""

PACKAGES: Mapping[str, str] = {
    "bare": "openai",
    "otel_llm": "otel-llm",
    "genai": "opentelemetry-instrumentation-genai-openai",
    "openai_v2": "opentelemetry-instrumentation-openai-v2",
    "openlit": "openlit",
    "traceloop": "opentelemetry-instrumentation-openai",
    "openinference": "openinference-instrumentation-openai",
}
"""What each is called where packages are."""


def switch_on(name: str, *, quiet: bool) -> Callable[[], object]:
    """Instrument the `openai` client with a library, and return what undoes it.

    quiet: no content of messages, and nothing but the `openai` client; else whatever comes without an argument
    """
    if quiet:
        os.environ.update(QUIET[name])
    return _WAYS[name](quiet)


def _nothing(_quiet: bool) -> Callable[[], object]:
    return lambda: None


def _otel_llm(quiet: bool) -> Callable[[], object]:
    library = importlib.import_module("otel_llm")
    library.instrument(include=["openai"]) if quiet else library.instrument()
    return library.uninstrument


def _instrumentor(module: str) -> Callable[[bool], Callable[[], object]]:
    def on(_quiet: bool) -> Callable[[], object]:
        instrumentor = importlib.import_module(module).OpenAIInstrumentor()
        instrumentor.instrument()
        return instrumentor.uninstrument  # type: ignore[no-any-return]

    return on


def _openlit(quiet: bool) -> Callable[[], object]:
    library: Any = importlib.import_module("openlit")
    if not quiet:
        library.init()
        return library.uninstrument if hasattr(library, "uninstrument") else lambda: None
    others = [name for name in importlib.import_module("openlit._instrumentors").MODULE_NAME_MAP if name != "openai"]
    with tempfile.TemporaryDirectory() as folder:
        prices = Path(folder) / "prices.json"
        prices.write_text("{}")  # else they are fetched from the internet
        library.init(capture_message_content=False, disabled_instrumentors=others, pricing_json=str(prices))
    return _undo_openlit


def _undo_openlit() -> None:
    importlib.import_module("openlit.instrumentation.openai").OpenAIInstrumentor().uninstrument()


_WAYS: Mapping[str, Callable[[bool], Callable[[], object]]] = {
    "bare": _nothing,
    "otel_llm": _otel_llm,
    "genai": _instrumentor("opentelemetry.instrumentation.genai.openai"),
    "openai_v2": _instrumentor("opentelemetry.instrumentation.openai_v2"),
    "openlit": _openlit,
    "traceloop": _instrumentor("opentelemetry.instrumentation.openai"),
    "openinference": _instrumentor("openinference.instrumentation.openai"),
}
