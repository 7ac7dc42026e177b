"""`instrument()` loads next to nothing; what measures a library is loaded before its first line runs."""

import logging
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from threading import Event, Thread
from types import ModuleType
from typing import Any

import pytest

from otel_llm.entry_points import installed
from otel_llm.instrumentation import Settings
from otel_llm.instrumentation.libraries import measuring
from otel_llm.instrumentation.libraries.imports import Imports

OPENAI = """
class Completions:
    def create(self, **asked):
        return {"choices": []}
"""


def _python(program: str, *folders: Path) -> str:
    path = os.pathsep.join(map(str, folders))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


def _write(folder: Path, modules: dict[str, str]) -> Path:
    for name, text in modules.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def doubled(tmp_path: Path) -> Path:
    """Return a folder with a library that goes by openai's name and tells what was loaded before it."""
    return _write(
        tmp_path,
        {
            "openai/__init__.py": "import sys\nBEFORE = set(sys.modules)\n",
            "openai/resources/__init__.py": "",
            "openai/resources/chat/__init__.py": "",
            "openai/resources/chat/completions/__init__.py": "",
            "openai/resources/chat/completions/completions.py": OPENAI,
        },
    )


def test_nothing_is_loaded_that_no_library_needs_yet() -> None:
    said = _python("""
import sys, otel_llm
before = set(sys.modules)
otel_llm.instrument()
otel_llm.instrument(exclude=["openai"])
otel_llm.uninstrument()
print(*sorted(set(sys.modules) - before))
""")
    ours = "otel_llm.instrumentation"
    assert said.split() == [ours, *(f"{ours}.{name}" for name in ("auto", "libraries", *LIGHT))]


LIGHT = ("libraries.imports", "libraries.measuring")


def test_it_costs_less_than_a_module_of_the_standard_library() -> None:
    said = [
        _python("""
import time, otel_llm
start = time.process_time()
otel_llm.instrument()
took = time.process_time() - start
start = time.process_time()
import asyncio, http.client
print(took / (time.process_time() - start))
""")
        for _ in range(3)
    ]
    assert min(map(float, said)) < 1  # 0.15 on a quiet machine


def test_all_is_loaded_before_the_first_line_of_a_library_runs(doubled: Path) -> None:
    said = _python(
        """
import sys, otel_llm
otel_llm.instrument()
import json
from openai.resources.chat.completions import completions
import openai
needed = ("numpy", "opentelemetry.sdk.trace", "otel_llm.sinks.otel", "otel_llm.instrumentation.libraries.openai")
print([name for name in needed if name not in openai.BEFORE])
print([name for name in sys.modules if name == "otel_llm.instrumentation.libraries.anthropic"])
print(hasattr(completions.Completions.create, "last_metrics"))
otel_llm.uninstrument()
print(hasattr(completions.Completions.create, "last_metrics"))
""",
        doubled,
    )
    assert said.splitlines() == ["[]", "[]", "True", "False"]


def test_what_is_taken_back_before_an_import_is_never_measured(doubled: Path) -> None:
    said = _python(
        """
import sys, otel_llm
otel_llm.instrument()
otel_llm.uninstrument()
from openai.resources.chat.completions.completions import Completions
print(hasattr(Completions.create, "last_metrics"), "numpy" in sys.modules)
""",
        doubled,
    )
    assert said.split() == ["False", "False"]


def test_what_is_asked_for_last_holds_for_a_library_that_is_imported_after_it(doubled: Path) -> None:
    said = _python(
        """
import otel_llm
otel_llm.instrument()
otel_llm.instrument(include=["anthropic"])
from openai.resources.chat.completions.completions import Completions
print(hasattr(Completions.create, "last_metrics"))
otel_llm.instrument(include=["openai"])
print(hasattr(Completions.create, "last_metrics"))
""",
        doubled,
    )
    assert said.split() == ["False", "True"]


def test_it_is_the_same_instrumentor_by_opentelemetrys_name(doubled: Path) -> None:
    said = _python("""
import otel_llm
otel_llm.instrument()
print(otel_llm.LLMInstrumentor().is_instrumented_by_opentelemetry)
otel_llm.LLMInstrumentor().uninstrument()
print(otel_llm.LLMInstrumentor().is_instrumented_by_opentelemetry)
otel_llm.LLMInstrumentor().instrument(include=["openai"])
print(otel_llm.LLMInstrumentor().is_instrumented_by_opentelemetry)
otel_llm.uninstrument()
print(otel_llm.LLMInstrumentor().is_instrumented_by_opentelemetry)
""")
    assert said.split() == ["True", "False", "True", "False"]


def test_a_library_that_is_missing_is_missing_as_before() -> None:
    said = _python("""
import importlib.util, sys, otel_llm
sys.path_importer_cache.clear()
sys.path[:] = [path for path in sys.path if "site-packages" not in path]
otel_llm.instrument()
try:
    import vllm
except ModuleNotFoundError as error:
    print(error)
print(importlib.util.find_spec("vllm"), "numpy" in sys.modules)
""")
    assert said.splitlines() == ["No module named 'vllm'", "None False"]


def test_what_fails_breaks_no_import_and_is_said_once(doubled: Path) -> None:
    said = _python(
        """
import logging, sys, otel_llm
warned = []
class Keep(logging.Handler):
    def emit(self, record):
        warned.append(record.getMessage())
logging.getLogger("otel_llm.instrumentation").addHandler(Keep())
sys.modules["numpy"] = None  # it cannot be imported
otel_llm.instrument()
from openai.resources.chat.completions.completions import Completions
print(len(warned), warned[0])
print(Completions().create())
""",
        doubled,
    )
    first, second = said.splitlines()
    assert first.startswith("1 telemetry failed (import: ModuleNotFoundError)")
    assert second == "{'choices': []}"


def test_an_adapter_that_fails_as_its_library_is_imported_breaks_no_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _write(tmp_path, {"broken_library.py": "TOLD = 1\n"})
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(measuring.OURS, "no_such_adapter", "broken_library")
    with caplog.at_level(logging.WARNING, "otel_llm.instrumentation"):
        measuring.measure_libraries(include=["no_such_adapter"])
        assert import_module("broken_library").TOLD == 1
    measuring.stop_measuring()
    assert [record.message.partition(";")[0] for record in caplog.records] == [
        "telemetry failed (no_such_adapter: ModuleNotFoundError)"
    ]


def test_each_adapter_waits_for_the_package_that_it_measures() -> None:
    assert sorted(measuring.OURS) == sorted(installed(measuring.ADAPTERS)), "next step: its line in OURS"
    for name, package in measuring.OURS.items():
        targets = import_module(f"otel_llm.instrumentation.libraries.{name}").targets(Settings())
        assert {target.module for target in targets if not f"{target.module}.".startswith(f"{package}.")} == set()


def test_an_adapter_of_this_package_that_nobody_listed_yet_is_found_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(measuring.OURS, "ollama")
    client = import_module("ollama").Client
    measuring.measure_libraries(include=["ollama"])
    try:
        assert hasattr(client.chat, "last_metrics")
    finally:
        measuring.stop_measuring()
    assert not hasattr(client.chat, "last_metrics")


# -- adapters of other packages ------------------------------------------------------------------------------------


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """Return a folder with a library, and the adapter that another package has for it."""
    return _write(
        tmp_path,
        {
            "theirs.py": "def ask(question):\n    return question\n",
            "their_adapter.py": "from otel_llm.instrumentation import Hooks, LibraryTarget, Options\n"
            "def targets(settings):\n    return [LibraryTarget('theirs', '', ('ask',), Options(), Hooks())]\n",
            "their_adapter-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: their-adapter\nVersion: 1\n",
            "their_adapter-1.dist-info/entry_points.txt": "[otel_llm.adapters]\ntheirs = their_adapter:targets\n",
        },
    )


@pytest.mark.parametrize("they_come", ["first", "later"])
def test_an_adapter_of_another_package_is_found_whenever_its_library_comes(others: Path, they_come: str) -> None:
    imports = ["import theirs", "otel_llm.instrument()"]
    lines = imports if they_come == "first" else imports[::-1]
    ending = "print(hasattr(theirs.ask, 'last_metrics'))\notel_llm.uninstrument()\nprint(type(vars(theirs)['ask']))"
    said = _python("\n".join(("import otel_llm", *lines, ending)), others)
    assert said.splitlines() == ["True", "<class 'function'>"]


def test_adapters_of_others_may_be_named_and_left_out(others: Path) -> None:
    said = _python(
        """
import otel_llm, theirs
otel_llm.instrument(exclude=["theirs"])
print(hasattr(theirs.ask, "last_metrics"))
otel_llm.instrument(include=["theirs"])
print(hasattr(theirs.ask, "last_metrics"))
try:
    otel_llm.instrument(include=["their"])
except otel_llm.errors.ConfigError as error:
    print("theirs, transformers" in str(error))
""",
        others,
    )
    assert said.split() == ["False", "True", "True"]


# -- threads -------------------------------------------------------------------------------------------------------


def test_who_imports_at_the_same_time_waits_until_all_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, {"awaited_library.py": ""})
    monkeypatch.syspath_prepend(tmp_path)
    imports, begun, loaded, seen = Imports(), Event(), Event(), []

    def load() -> None:
        begun.set()
        loaded.wait(30)

    def use() -> None:
        import_module("awaited_library")
        seen.append(loaded.is_set())

    imports.before("awaited_library", load)
    try:
        threads = [Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        assert begun.wait(30)
        assert "awaited_library" not in sys.modules or not seen
        loaded.set()
        for thread in threads:
            thread.join(30)
        assert seen == [True] * 4
    finally:
        sys.meta_path.remove(imports)


def test_a_library_in_the_middle_of_its_import_in_another_thread_is_measured_when_that_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "import gate\ngate.begun.set()\ngate.go_on.wait(30)\ndef ask():\n    return 1\n"
    _write(tmp_path, {"slow_library.py": text})
    monkeypatch.syspath_prepend(tmp_path)
    gate: Any = ModuleType("gate")
    gate.begun, gate.go_on = Event(), Event()
    monkeypatch.setitem(sys.modules, "gate", gate)
    adapter: Any = ModuleType("otel_llm.instrumentation.libraries.slow")
    from otel_llm.instrumentation import Hooks, LibraryTarget, Options

    adapter.targets = lambda settings: [LibraryTarget("slow_library", "", ("ask",), Options(), Hooks())]
    monkeypatch.setitem(sys.modules, adapter.__name__, adapter)
    monkeypatch.setitem(measuring.OURS, "slow", "slow_library")
    importing = Thread(target=import_module, args=("slow_library",))
    importing.start()
    assert gate.begun.wait(30)
    instrumenting = Thread(target=measuring.measure_libraries, args=(["slow"],))
    instrumenting.start()
    instrumenting.join(0.2)
    gate.go_on.set()
    for thread in (importing, instrumenting):
        thread.join(30)
        assert not thread.is_alive()
    assert hasattr(sys.modules["slow_library"].ask, "last_metrics")
    measuring.stop_measuring()
