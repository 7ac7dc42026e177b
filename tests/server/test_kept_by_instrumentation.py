"""What answers say of the server's own time is kept by whatever measures the call, not by the load generator alone."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import otel_llm
from otel_llm.conventions import SERVER_SAID
from otel_llm.models import OpenAICompatibleLLM
from otel_llm.record import ServerTimes
from otel_llm.sim import Behaviour, SimServer
from otel_llm.testing import ScriptedServer, capture
from tests.server.test_timings import OF_OLLAMA, OF_VLLM, OLLAMA, USAGE, VLLM

CHUNKS = [{"choices": [{"delta": {"content": "a"}}]}, {"choices": [], "usage": USAGE, "metrics": VLLM}]
WHOLE = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'


def test_a_decorated_generator_keeps_what_its_last_item_says() -> None:
    @otel_llm.metrics
    def answers() -> Iterator[dict[str, Any]]:
        yield from CHUNKS

    with capture() as calls:
        list(answers())
    (call,) = calls
    assert call.record.server == OF_VLLM
    assert otel_llm.last_metrics().server == OF_VLLM  # type: ignore[union-attr]


def test_a_decorated_function_keeps_what_its_result_says() -> None:
    @otel_llm.metrics
    def answer() -> Any:
        return SimpleNamespace(eval_count=4, prompt_eval_count=9, **OLLAMA)

    answer()
    metrics = otel_llm.last_metrics()
    assert metrics is not None
    assert metrics.server is not None
    assert metrics.server.total == pytest.approx(OF_OLLAMA.total)


def test_an_endpoint_s_model_keeps_what_the_stream_says() -> None:
    with SimServer(Behaviour(ttft_ms=5, itl_ms=1, tokens=4, times="vllm")) as sim:
        llm = OpenAICompatibleLLM("m", base_url=f"{sim.url}/v1", api_key="k")
        assert "".join(llm.stream("hello")) == " tok" * 4
        (row,) = sim.log
    metrics = otel_llm.last_metrics()
    assert metrics is not None
    assert metrics.server is not None
    assert metrics.server.prefill == pytest.approx((row["first_token"] - row["start"]) / 1e9)


def test_and_what_the_head_says() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Envoy-Upstream-Service-Time: 41\r\n"
    with ScriptedServer([head + b"Content-Length: %d\r\n\r\n" % len(WHOLE) + WHOLE]) as server:
        assert OpenAICompatibleLLM("m", base_url=f"{server.url}/v1", api_key="k").run("hello") == "hi"
    metrics = otel_llm.last_metrics()
    assert metrics is not None
    assert metrics.server == ServerTimes(source=("envoy",), upstream=0.041)


def test_every_duration_has_a_name_on_the_span() -> None:
    assert set(SERVER_SAID) == set(ServerTimes.__struct_fields__) - {"source"}
