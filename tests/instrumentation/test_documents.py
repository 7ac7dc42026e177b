"""The examples of swarms' `metrics_decorator` and `BaseLLM` pages, run as they stand."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import otel_llm

DOCUMENTS = Path(__file__).parents[1] / "documents"


def _source(name: str) -> str:
    return (DOCUMENTS / f"{name}.py").read_text()


def test_the_example_of_metrics_decorator(seen: Any) -> None:
    """S1.10: run literally; the names it leaves open are `tokens` and the class around the method."""
    names: dict[str, Any] = {"metrics_decorator": otel_llm.metrics_decorator, "tokens": ["Hello", ",", " world", "!"]}
    names["ClassName"] = lambda: type("ClassName", (), {"text_generator": names["text_generator"]})()
    exec(compile(_source("metrics_decorator"), "metrics_decorator.py", "exec"), names)  # noqa: S102
    assert names["obj"].text_generator("Hello, world!") is names["tokens"]
    metrics = names["obj"].text_generator.last_metrics
    assert metrics.output_tokens == 4
    assert [line.split(":")[0] for line in str(metrics).splitlines()] == [
        "Time to First Token",
        "Generation Latency",
        "Throughput",
    ]
    assert len(seen.spans) == 2


@pytest.fixture
def swarm_models(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("swarm_models")
    monkeypatch.setitem(sys.modules, "swarm_models", module)
    return module


def test_the_example_of_base_llm_with_a_backend(
    swarm_models: Any, seen: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """S2.4: it works end to end where there is something to generate with; "cuda" is stored and not touched."""

    class WithBackend(otel_llm.BaseLLM):
        backend = staticmethod(lambda task: f"«{task}»")

        def __init__(self, **parameters: Any) -> None:
            super().__init__(**parameters, backend=self.backend)

    swarm_models.BaseLLM = WithBackend
    exec(compile(_source("base_llm"), "base_llm.py", "exec"), {})  # noqa: S102
    assert "Hello, world." in capsys.readouterr().out
    attributes = seen.span().attributes
    assert attributes["gen_ai.request.model"] == "my_language_model"
    assert attributes["gen_ai.request.max_tokens"] == 50
    assert attributes["gen_ai.request.temperature"] == 0.7
    assert attributes["gen_ai.request.top_k"] == 50
    assert attributes["gen_ai.request.top_p"] == 0.9
    assert attributes["otel_llm.request.device"] == "cuda"


def test_the_example_of_base_llm_without_one(swarm_models: Any) -> None:
    """S2.4: the class can be made; `run` says what to do."""
    swarm_models.BaseLLM = otel_llm.BaseLLM
    with pytest.raises(NotImplementedError, match=r"BaseLLM.*next step: write def run"):
        exec(compile(_source("base_llm"), "base_llm.py", "exec"), {})  # noqa: S102
