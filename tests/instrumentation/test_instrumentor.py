"""`LLMInstrumentor`: what it measures, what it leaves alone, and that nothing of it stays."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import openai
import pytest
import wrapt
from openai.resources.chat.completions import AsyncCompletions, Completions

import otel_llm
from otel_llm.errors import ConfigError
from otel_llm.instrumentation import Hooks, LibraryTarget, Options, Settings
from otel_llm.instrumentation.libraries import measuring
from otel_llm.instrumentation.libraries.instrumentor import LLMInstrumentor
from otel_llm.sim import Behaviour, SimServer
from tests.telemetry_in_memory import Seen
from tests.vocabulary import metric_name

ASKED: Any = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    before = {cls: dict(vars(cls)) for cls in (Completions, AsyncCompletions)}
    yield
    otel_llm.uninstrument()
    for cls, members in before.items():
        assert all(vars(cls)[name] is value for name, value in members.items())
        assert set(vars(cls)) == set(members)


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    with SimServer(Behaviour()) as sim, openai.OpenAI(base_url=sim.url + "/v1", api_key="none") as library:
        yield library


def test_the_very_same_functions_come_back() -> None:
    before = Completions.__dict__["create"]
    for _ in range(2):
        otel_llm.instrument()
        otel_llm.instrument()
        assert Completions.__dict__["create"] is not before
        otel_llm.uninstrument()
        otel_llm.uninstrument()
        assert Completions.__dict__["create"] is before


def test_what_is_asked_for_last_is_what_is_measured() -> None:
    before = Completions.__dict__["create"]

    def is_measured() -> bool:
        return Completions.__dict__["create"] is not before

    otel_llm.instrument(include=["ollama"])
    assert not is_measured()
    otel_llm.instrument(include=(name for name in ["openai"]))
    assert is_measured()
    otel_llm.instrument(exclude=["openai"])
    assert not is_measured()
    otel_llm.instrument()
    assert is_measured()
    with pytest.raises(ConfigError):
        otel_llm.instrument(include=["nothing"])
    assert is_measured()


def test_trace_headers_are_sent_or_not_as_was_said_last(client: openai.OpenAI, seen_live: Seen) -> None:
    sent: list[bool] = []
    client._client.event_hooks["request"] = [lambda request: sent.append("traceparent" in request.headers)]
    for propagate in (True, False, True):
        otel_llm.instrument(propagate=propagate)
        client.chat.completions.create(**ASKED)
    client._client.event_hooks["request"] = []
    assert sent == [True, False, True]


def test_asking_for_the_same_again_puts_nothing_anew() -> None:
    otel_llm.instrument(include=["openai"])
    measured = Completions.__dict__["create"]
    otel_llm.instrument(include=["openai"])
    assert Completions.__dict__["create"] is measured


def test_include_and_exclude_by_argument_and_by_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured() -> bool:
        before = Completions.__dict__["create"]
        yes = hasattr(Completions.create, "last_metrics")
        otel_llm.uninstrument()
        return yes and before is not Completions.__dict__["create"]

    otel_llm.instrument(exclude=["openai"])
    assert not measured()
    monkeypatch.setenv(measuring.EXCLUDE, "openai, ")
    otel_llm.instrument()
    assert not measured()
    otel_llm.instrument(exclude=[])
    assert measured()
    monkeypatch.delenv(measuring.EXCLUDE)
    monkeypatch.setenv(measuring.INCLUDE, "openai")
    otel_llm.instrument()
    assert measured()
    with pytest.raises(ConfigError, match=r"expected adapters out of .*openai.*, got 'opnai'"):
        otel_llm.instrument(include=["opnai"])


def _points(*points: EntryPoint) -> Any:
    def installed(group: str) -> dict[str, EntryPoint]:
        assert group == "otel_llm.adapters"
        return {point.name: point for point in points}

    return installed


def _broken(settings: Settings) -> Iterable[LibraryTarget]:
    raise ZeroDivisionError("this adapter")


def _of_nothing(settings: Settings) -> Iterable[LibraryTarget]:
    said = Options(), Hooks()
    yield LibraryTarget("openai.resources.chat.completions.completions", "Gone", ("create",), *said)
    yield LibraryTarget("openai.resources.chat.completions.completions", "Completions", ("gone",), *said)
    yield LibraryTarget("no_such_library", "", ("create",), *said)


def test_a_broken_adapter_breaks_no_other(
    client: openai.OpenAI, seen_live: Seen, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    group = "otel_llm.adapters"
    points = [
        EntryPoint("a_broken", f"{__name__}:_broken", group),
        EntryPoint("b_missing", "no_such_module:targets", group),
        EntryPoint("c_of_nothing", f"{__name__}:_of_nothing", group),
        EntryPoint("openai", "otel_llm.instrumentation.libraries.openai:targets", group),
    ]
    monkeypatch.setattr("otel_llm.entry_points.installed", _points(*points))
    with caplog.at_level(logging.WARNING, "otel_llm.instrumentation"):
        otel_llm.instrument()
    assert [record.message.split("(")[1].split(":")[0] for record in caplog.records] == ["a_broken", "b_missing"]
    client.chat.completions.create(**ASKED)
    assert len(seen_live.spans) == 1


# -- beside another instrumentation --------------------------------------------------------------------------------


def _theirs() -> Any:
    def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(*args, **kwargs)

    return wrapt.FunctionWrapper(Completions.__dict__["create"], wrapper)


@pytest.mark.parametrize("they_come", ["first", "later"])
def test_a_method_of_another_instrumentation_is_left_alone_with_one_warning(
    client: openai.OpenAI,
    seen_live: Seen,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    they_come: str,
) -> None:
    original = Completions.__dict__["create"]
    with caplog.at_level(logging.WARNING, "otel_llm.instrumentation"):
        if they_come == "first":
            monkeypatch.setattr(Completions, "create", _theirs())
        otel_llm.instrument(include=["openai"])
        ours = Completions.__dict__["create"]
        if they_come == "later":
            monkeypatch.setattr(Completions, "create", _theirs())
        for _ in range(3):
            client.chat.completions.create(**ASKED)
    assert not seen_live.spans
    assert len([record for record in caplog.records if "instrument" in record.message]) == 1
    monkeypatch.undo()
    if they_come == "later":
        assert Completions.__dict__["create"] is ours
    otel_llm.uninstrument()
    assert Completions.__dict__["create"] is original


# -- without a change to the program -------------------------------------------------------------------------------

APP = """
import openai
with openai.OpenAI(base_url={url!r}, api_key="none") as client:
    list(client.chat.completions.create(model="tiny", messages=[], max_tokens=4, stream=True))
    print("said")
from opentelemetry import trace
"""


def _zero_code(tmp_path: Path, **environ: str) -> str:
    program = Path(sys.executable).with_name("opentelemetry-instrument")
    with SimServer(Behaviour(ttft_ms=5)) as sim:
        app = tmp_path / "app.py"
        app.write_text(APP.format(url=sim.url + "/v1"))
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
        done = subprocess.run(
            [program, "--traces_exporter", "console", "--metrics_exporter", "console", "--logs_exporter", "none",
             sys.executable, str(app)],
            env={**clean, **environ}, capture_output=True, text=True, timeout=100, check=True,
        )  # fmt: skip
    assert "said" in done.stdout
    return done.stdout + done.stderr


def test_opentelemetry_instrument_is_enough(tmp_path: Path) -> None:
    said = _zero_code(tmp_path)
    assert said.count('"name": "chat tiny"') == 1
    assert json.dumps(metric_name("time_to_first_token")) in said
    assert "Traceback" not in said


def test_it_can_be_told_to_leave_a_library_alone(tmp_path: Path) -> None:
    assert "chat tiny" not in _zero_code(tmp_path, OTEL_LLM_INSTRUMENT_EXCLUDE="openai")


def test_it_is_a_singleton_as_opentelemetry_wants_it() -> None:
    assert LLMInstrumentor() is LLMInstrumentor()
    assert list(LLMInstrumentor().instrumentation_dependencies()) == []
