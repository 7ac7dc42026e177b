"""The real `pydantic_ai` and `agents`, over the openai library: their runs are spans around what is counted."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import otel_llm
from otel_llm.sim import Behaviour, SimServer
from tests.telemetry_in_memory import Seen
from tests.vocabulary import metric_name


@pytest.fixture(autouse=True)
def _instrumented() -> Iterator[None]:
    otel_llm.instrument(include=["pydantic_ai", "openai_agents", "openai"])
    yield
    otel_llm.uninstrument()


@pytest.fixture(scope="module")
def sim() -> Iterator[str]:
    with SimServer(Behaviour(ttft_ms=20, itl_ms=2, tokens=6)) as server:
        yield server.url + "/v1"


def _pydantic_agent(url: str) -> Any:
    library = pytest.importorskip("pydantic_ai", reason="needs pydantic-ai-slim[openai]")
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel("tiny", provider=OpenAIProvider(base_url=url, api_key="none"))
    return library.Agent(model, name="helper")


def _pydantic_run(url: str) -> None:
    asyncio.run(_pydantic_agent(url).run("hi"))


def _pydantic_sync(url: str) -> None:
    _pydantic_agent(url).run_sync("hi")


def _pydantic_stream(url: str) -> None:
    async def read() -> None:
        async with _pydantic_agent(url).run_stream("hi") as run:
            assert [text async for text in run.stream_text(delta=True)]

    asyncio.run(read())


def _pydantic_events(url: str) -> None:
    async def read() -> None:
        async with _pydantic_agent(url).run_stream_events("hi") as events:
            assert [event async for event in events]

    asyncio.run(read())


def _openai_agent(url: str) -> tuple[Any, Any]:
    library = pytest.importorskip("agents", reason="needs openai-agents")
    import openai

    library.set_tracing_disabled(True)
    client = openai.AsyncOpenAI(base_url=url, api_key="none")
    model = library.OpenAIChatCompletionsModel(model="tiny", openai_client=client)
    settings = library.ModelSettings(include_usage=True)
    return library.Runner, library.Agent(name="helper", model=model, model_settings=settings)


def _agents_run(url: str) -> None:
    runner, agent = _openai_agent(url)
    asyncio.run(runner.run(agent, "hi"))


def _agents_sync(url: str) -> None:
    runner, agent = _openai_agent(url)
    runner.run_sync(agent, "hi")


def _agents_streamed(url: str) -> None:
    async def read() -> None:
        runner, agent = _openai_agent(url)
        run = runner.run_streamed(agent, "hi")
        assert [event async for event in run.stream_events()]
        await asyncio.sleep(0)  # what is told when its task is done

    asyncio.run(read())


WAYS: dict[str, Callable[[str], None]] = {
    "pydantic_ai, run": _pydantic_run,
    "pydantic_ai, run_sync": _pydantic_sync,
    "pydantic_ai, run_stream": _pydantic_stream,
    "pydantic_ai, run_stream_events": _pydantic_events,
    "agents, run": _agents_run,
    "agents, run_sync": _agents_sync,
    "agents, run_streamed": _agents_streamed,
}


@pytest.mark.parametrize("ask", WAYS.values(), ids=WAYS)
def test_a_run_is_a_span_and_the_call_inside_is_what_is_counted(
    ask: Callable[[str], None], sim: str, seen_live: Seen
) -> None:
    ask(sim)
    inner, outer = sorted(seen_live.spans, key=lambda span: span.parent is None)
    assert (outer.name, outer.kind.name) == ("invoke_agent helper", "INTERNAL")
    assert (outer.attributes or {})["gen_ai.request.model"] == "tiny"
    assert not [name for name in outer.attributes or {} if name.startswith("gen_ai.usage")]
    assert inner.name == "chat tiny"
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id
    (duration,) = seen_live.points(metric_name("operation_duration"))
    assert (duration.count, duration.attributes["gen_ai.operation.name"]) == (1, "chat")
    (output,) = [
        point
        for point in seen_live.points(metric_name("token_usage"))
        if point.attributes["gen_ai.token.type"] == "output"
    ]
    assert (output.count, output.sum) == (1, 6)
    assert sum(point.value for point in seen_live.points(metric_name("active_requests"))) == 0
    assert (outer.end_time or 0) >= (inner.end_time or 0)


def test_a_run_whose_model_is_measured_by_nobody_says_itself_what_it_used(seen_live: Seen) -> None:
    library = pytest.importorskip("pydantic_ai", reason="needs pydantic-ai-slim[openai]")
    from pydantic_ai.models.test import TestModel

    answer = library.Agent(TestModel(), name="helper").run_sync("hi")
    assert answer.output
    assert int(str((seen_live.span().attributes or {})["gen_ai.usage.output_tokens"])) > 0
    (duration,) = seen_live.points(metric_name("operation_duration"))
    assert duration.count == 1
