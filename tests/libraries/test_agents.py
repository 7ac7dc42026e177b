"""The real `pydantic_ai` and `agents`, over the openai library: their runs are spans around what is counted."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
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


async def _step_by_step(agent: Any) -> None:
    async with agent.iter("hi") as run:
        assert [node async for node in run]


async def _each_step_asked_for(agent: Any) -> None:
    from pydantic_graph import End

    async with agent.iter("hi") as run:
        node = run.next_node
        while not isinstance(node, End):
            node = await run.next(node)


async def _each_step_streamed(agent: Any) -> None:
    async with agent.iter("hi") as run:
        async for node in run:
            if agent.is_model_request_node(node):
                async with node.stream(run.ctx) as events:
                    assert [event async for event in events]


def _pydantic_iter(read: Callable[[Any], Coroutine[Any, Any, None]]) -> Callable[[str], None]:
    return lambda url: asyncio.run(read(_pydantic_agent(url)))


def _wrapped(url: str) -> Any:
    agent = _pydantic_agent(url)
    from pydantic_ai.agent import WrapperAgent

    return WrapperAgent(agent)


def _wrapped_run(url: str) -> None:
    asyncio.run(_wrapped(url).run("hi"))


def _wrapped_iter(url: str) -> None:
    asyncio.run(_step_by_step(_wrapped(url)))


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
    "pydantic_ai, iter": _pydantic_iter(_step_by_step),
    "pydantic_ai, iter and next": _pydantic_iter(_each_step_asked_for),
    "pydantic_ai, iter and stream": _pydantic_iter(_each_step_streamed),
    "pydantic_ai, run of a wrapper": _wrapped_run,
    "pydantic_ai, iter of a wrapper": _wrapped_iter,
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


async def _leave(agent: Any, at: type, error: BaseException | None) -> None:
    async with agent.iter("hi") as run:
        async for node in run:
            if isinstance(node, at):
                if error is not None:
                    raise error
                break


def test_a_run_that_its_user_leaves_ends_as_the_block_around_it_does(seen_live: Seen) -> None:
    library = pytest.importorskip("pydantic_ai", reason="needs pydantic-ai-slim[openai]")
    from pydantic_ai import CallToolsNode
    from pydantic_ai.models.test import TestModel

    agent = library.Agent(TestModel(), name="helper")
    asyncio.run(_leave(agent, CallToolsNode, None))
    with pytest.raises(ZeroDivisionError):
        asyncio.run(_leave(agent, CallToolsNode, ZeroDivisionError("theirs")))
    left, failed = (dict(span.attributes or {}) for span in seen_live.spans)
    assert left["otel_llm.stream.outcome"] == "closed_early"
    assert int(str(left["gen_ai.usage.output_tokens"])) > 0  # the step that was made
    assert (failed["otel_llm.stream.outcome"], failed["error.type"]) == ("error", "ZeroDivisionError")
    assert sum(point.value for point in seen_live.points(metric_name("active_requests"))) == 0


def test_the_body_of_a_run_is_inside_its_span_and_what_comes_after_is_not(seen_live: Seen) -> None:
    library = pytest.importorskip("pydantic_ai", reason="needs pydantic-ai-slim[openai]")
    from pydantic_ai.models.test import TestModel

    inside: list[str] = []

    async def ask() -> None:
        async with library.Agent(TestModel()).iter("hi") as run:
            inside.append(otel_llm.current().head["operation"])
            assert [node async for node in run]
        assert run.result.output
        assert not otel_llm.current().head

    asyncio.run(ask())
    assert inside == ["invoke_agent"]


def test_a_function_decorated_with_a_run_is_called_in_one_of_its_own_each_time(seen_live: Seen) -> None:
    library = pytest.importorskip("pydantic_ai", reason="needs pydantic-ai-slim[openai]")
    from pydantic_ai.models.test import TestModel

    async def ask() -> list[str]:
        @library.Agent(TestModel(), name="helper").iter("hi")
        async def operation(more: str = "") -> str:
            return str(otel_llm.current().head["operation"]) + more

        assert sum(point.value for point in seen_live.points(metric_name("active_requests"))) == 0
        return [await operation(), await operation(more="!")]

    assert asyncio.run(ask()) == ["invoke_agent", "invoke_agent!"]
    assert [span.name for span in seen_live.spans] == ["invoke_agent helper"] * 2
