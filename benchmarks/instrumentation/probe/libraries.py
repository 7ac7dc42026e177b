"""How each library is switched on, as its own documents say: quiet (no content, no network), or as it comes."""

import importlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

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


_INSTRUMENTORS: Final = {"openai": "OpenAIInstrumentor", "anthropic": "AnthropicInstrumentor"}


def switch_on(name: str, *, quiet: bool, client: str = "openai") -> Callable[[], object]:
    """Instrument a client, `openai` or `anthropic`, with a library, and return what undoes it.

    quiet: no content of messages, and nothing but this client; else whatever comes without an argument
    """
    if quiet:
        os.environ.update(QUIET[name])
    return _WAYS[name](quiet, client)


def _nothing(_quiet: bool, _client: str) -> Callable[[], object]:
    return lambda: None


def _otel_llm(quiet: bool, client: str) -> Callable[[], object]:
    library = importlib.import_module("otel_llm")
    library.instrument(include=[client]) if quiet else library.instrument()
    return library.uninstrument


def _instrumentor(module: str) -> Callable[[bool, str], Callable[[], object]]:
    def on(_quiet: bool, client: str) -> Callable[[], object]:
        instrumentor = getattr(importlib.import_module(module.format(client)), _INSTRUMENTORS[client])()
        instrumentor.instrument()
        return instrumentor.uninstrument  # type: ignore[no-any-return]

    return on


def _openai_v2(quiet: bool, client: str) -> Callable[[], object]:
    on = _instrumentor("opentelemetry.instrumentation.openai_v2") if client == "openai" else _nothing
    return on(quiet, client)


def _openlit(quiet: bool, client: str) -> Callable[[], object]:
    library: Any = importlib.import_module("openlit")
    if not quiet:
        library.init()
        return library.uninstrument if hasattr(library, "uninstrument") else lambda: None
    others = [name for name in importlib.import_module("openlit._instrumentors").MODULE_NAME_MAP if name != client]
    with tempfile.TemporaryDirectory() as folder:
        prices = Path(folder) / "prices.json"
        prices.write_text("{}")  # else they are fetched from the internet
        library.init(capture_message_content=False, disabled_instrumentors=others, pricing_json=str(prices))
    return _undo_openlit


def _undo_openlit() -> None:
    importlib.import_module("openlit.instrumentation.openai").OpenAIInstrumentor().uninstrument()


_WAYS: Mapping[str, Callable[[bool, str], Callable[[], object]]] = {
    "bare": _nothing,
    "otel_llm": _otel_llm,
    "genai": _instrumentor("opentelemetry.instrumentation.genai.{}"),
    "openai_v2": _openai_v2,
    "openlit": _openlit,
    "traceloop": _instrumentor("opentelemetry.instrumentation.{}"),
    "openinference": _instrumentor("openinference.instrumentation.{}"),
}
