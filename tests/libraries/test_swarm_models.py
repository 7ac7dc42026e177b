"""The real `swarm_models`, each class over what it is built on. `make test-libraries` has what it needs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_llm
from otel_llm.sim import Behaviour, SimServer
from otel_llm.testing import STALL, ScriptedServer
from tests.telemetry_in_memory import Seen
from tests.vocabulary import metric_name

swarm_models = pytest.importorskip("swarm_models", reason="needs the libraries: make test-libraries")

from swarm_models.huggingface import HuggingfaceLLM  # noqa: E402
from swarm_models.lite_llm_model import LiteLLM  # noqa: E402

CLASSES = (swarm_models.llama3Hosted, LiteLLM, swarm_models.OpenAIChat, HuggingfaceLLM, swarm_models.OllamaModel)


@pytest.fixture(autouse=True)
def _instrumented() -> Iterator[None]:
    before = [(cls, name, cls.__dict__.get(name)) for cls in CLASSES for name in ("run", "__call__")]
    otel_llm.instrument()
    assert all(cls.__dict__["run"] is not function for cls, name, function in before if name == "run")
    yield
    otel_llm.uninstrument()
    assert all(cls.__dict__.get(name) is function for cls, name, function in before)


@pytest.fixture(scope="module")
def sim() -> Iterator[str]:
    with SimServer(Behaviour(ttft_ms=20, tokens=6)) as server:
        yield server.url


def counted(seen: Seen) -> tuple[Any, Any]:
    """The span of `run`, and that of the one call that is counted."""
    (outer,) = [span for span in seen.spans if span.parent is None]
    (duration,) = seen.points(metric_name("operation_duration"))
    assert duration.count == 1
    inner = [span for span in seen.spans if span.parent and span.parent.span_id == outer.context.span_id]
    (active,) = {point.value for point in seen.points(metric_name("active_requests"))}
    assert active == 0
    return outer, inner[0] if inner else outer


def output_tokens(seen: Seen) -> int:
    points = seen.points(metric_name("token_usage"))
    (point,) = [point for point in points if point.attributes["gen_ai.token.type"] == "output"]
    assert point.count == 1
    return int(point.sum)


@pytest.mark.parametrize("way", ["run", "call"])
def test_6_one_that_speaks_to_its_server_itself(way: str, sim: str, seen_live: Seen) -> None:
    model = swarm_models.llama3Hosted(model="tiny", max_tokens=6, base_url=f"{sim}/v1/chat/completions")
    assert "tok" in (model.run("hi") if way == "run" else model("hi"))
    assert len(seen_live.spans) == 1
    span, _ = counted(seen_live)
    assert (span.name, span.kind.name) == ("chat tiny", "CLIENT")
    assert span.attributes["gen_ai.request.temperature"] == 0.8
    assert span.attributes["gen_ai.request.max_tokens"] == 6
    assert (span.attributes["server.address"], span.attributes["server.port"]) == ("127.0.0.1", int(sim.split(":")[2]))
    assert not {"otel_llm.time_to_first_token", "gen_ai.usage.output_tokens"} & set(span.attributes)


def test_3_4_one_over_litellm_over_openai(sim: str, seen_live: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    assert "tok" in LiteLLM("openai/tiny", max_tokens=6).run("hi", api_base=f"{sim}/v1")
    outer, inner = counted(seen_live)
    assert len(seen_live.spans) == 3
    assert outer.name == inner.name == "chat openai/tiny"
    assert inner.attributes["server.address"] == "127.0.0.1"
    assert output_tokens(seen_live) == 6
    metrics = otel_llm.last_metrics()
    assert metrics is not None
    assert metrics.output_tokens == 6


def test_4_one_over_langchain_over_openai(sim: str, seen_live: Seen) -> None:
    model = swarm_models.OpenAIChat(
        model_name="tiny", openai_api_base=f"{sim}/v1", openai_api_key="none", max_tokens=6, temperature=0.5
    )
    assert "tok" in model.run("hi")
    outer, inner = counted(seen_live)
    assert len(seen_live.spans) == 3
    assert outer.attributes["gen_ai.provider.name"] == "openai"
    assert outer.attributes["gen_ai.request.temperature"] == 0.5
    assert inner.attributes["gen_ai.usage.output_tokens"] == output_tokens(seen_live) == 6


def test_7_one_over_generate(tiny: Path, seen_live: Seen) -> None:
    model = HuggingfaceLLM(str(tiny), device="cpu", max_length=16)
    model.model.generation_config.eos_token_id = None
    assert model("the quick fox")
    outer, inner = counted(seen_live)
    assert len(seen_live.spans) == 2
    assert outer.kind.name == inner.kind.name == "INTERNAL"
    assert outer.attributes["gen_ai.provider.name"] == "huggingface"
    prompt = len(model.tokenizer.encode("the quick fox"))
    assert inner.attributes["gen_ai.usage.output_tokens"] == output_tokens(seen_live) == 16 - prompt
    assert inner.attributes["otel_llm.time_to_first_token"] > 0
    (first,) = seen_live.points(metric_name("server_time_to_first_token"))
    assert first.count == 1


def test_3_one_over_ollama(seen_live: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    import ollama

    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    body = b'{"model":"tiny","response":"one","done":true,"done_reason":"stop","prompt_eval_count":6,"eval_count":3}'
    with ScriptedServer([head % len(body) + body, STALL]) as server:
        monkeypatch.setattr(ollama._client, "_client", ollama.Client(server.url)._client)  # what the module's names use
        assert swarm_models.OllamaModel("tiny").run("hi").eval_count == 3
    outer, inner = counted(seen_live)
    assert outer.attributes["gen_ai.provider.name"] == inner.attributes["gen_ai.provider.name"] == "ollama"
    assert output_tokens(seen_live) == 3


def test_an_error_is_the_callers_and_is_counted_once(sim: str, seen_live: Seen) -> None:
    with pytest.raises(Exception, match="tiny") as raised:
        LiteLLM("nobody-knows/tiny").run("hi")
    outer, inner = counted(seen_live)
    assert outer.attributes["error.type"] == inner.attributes["error.type"]
    assert inner.attributes["error.type"].endswith(raised.type.__name__)


def test_6_a_subclass_that_is_made_later(seen_live: Seen) -> None:
    class Mine(swarm_models.BaseLLM):  # type: ignore[misc,name-defined]
        def run(self, task: Any = None, *args: Any, **kwargs: Any) -> str:
            return str(task).upper()

    assert Mine(model_name="mine")("hi") == "HI"
    span, _ = counted(seen_live)
    assert (span.name, span.kind.name) == ("chat mine", "CLIENT")
