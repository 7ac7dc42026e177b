"""The real `langchain_openai`, over the real openai library. `make test-libraries` has what it needs."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import otel_llm
from otel_llm.sim import Behaviour, SimServer
from tests import exits
from tests.langchain_over_openai import stalling
from tests.telemetry_in_memory import Seen
from tests.vocabulary import metric_name

langchain_openai = pytest.importorskip("langchain_openai", reason="needs the libraries: make test-libraries")


@pytest.fixture(autouse=True)
def _instrumented() -> Iterator[None]:
    before = [langchain_openai.ChatOpenAI.__mro__[i].__dict__.get("invoke") for i in range(5)]
    otel_llm.instrument()
    yield
    otel_llm.uninstrument()
    after = [langchain_openai.ChatOpenAI.__mro__[i].__dict__.get("invoke") for i in range(5)]
    assert all(one is other for one, other in zip(before, after, strict=True))


@pytest.fixture(scope="module")
def sim() -> Iterator[str]:
    with SimServer(Behaviour(ttft_ms=200, itl_ms=5, role_ms=0, tokens=6)) as server:
        yield server.url + "/v1"


def chat(url: str, **more: Any) -> Any:
    return langchain_openai.ChatOpenAI(model="tiny", base_url=url, api_key="none", max_retries=0, **more)


def outers(seen: Seen) -> list[Any]:
    return [span for span in seen.spans if span.parent is None]


def test_4_what_a_call_says_and_that_it_is_counted_once(sim: str, seen_live: Seen) -> None:
    assert chat(sim, temperature=0.5, max_tokens=6).invoke("hi").usage_metadata["output_tokens"] == 6
    (outer,) = outers(seen_live)
    assert len(seen_live.spans) == 2
    expected = {
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "tiny",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 6,
        "gen_ai.usage.output_tokens": 6,
    }
    assert expected.items() <= dict(outer.attributes).items()
    (duration,) = seen_live.points(metric_name("operation_duration"))
    assert duration.count == 1


@pytest.mark.parametrize("way", ["sync", "async"])
def test_the_first_token_is_the_one_with_text_and_not_the_role(way: str, sim: str, seen_live: Seen) -> None:
    """The role comes at 0 ms, the text at 200: in the best of a few, the machine is shared."""
    model = chat(sim, stream_usage=True)

    async def ask() -> None:
        for _ in range(5):
            assert len([chunk async for chunk in model.astream("hi") if chunk.content]) == 6

    if way == "async":
        asyncio.run(ask())
    else:
        for _ in range(5):
            assert len([chunk for chunk in model.stream("hi") if chunk.content]) == 6
    found = [span.attributes for span in outers(seen_live)]
    assert len(found) == 5
    assert 0.195 < min(one["otel_llm.time_to_first_token"] for one in found) < 0.25
    assert {one["gen_ai.usage.output_tokens"] for one in found} == {6}
    (first,) = seen_live.points(metric_name("time_to_first_token"))
    assert first.count == 5


@pytest.mark.parametrize(("leave", "outcome"), [*exits.GOES, *exits.CLOSES])
def test_it_may_be_left(leave: Any, outcome: str, seen_live: Seen, heard: Any) -> None:
    with stalling() as server:
        leave(lambda: chat(server.url).stream("hi"), lambda chunk: chunk.content)
        exits.told(seen_live, heard, outcome)


@pytest.mark.parametrize(("leave", "outcome"), exits.ASYNC)
def test_it_may_be_left_async(leave: Any, outcome: str, seen_live: Seen, heard: Any) -> None:
    async def nothing() -> None:
        pass

    with stalling() as server:

        async def ask() -> Any:
            return chat(server.url).astream("hi")

        exits.run(leave, ask, lambda chunk: chunk.content, nothing)
        exits.told(seen_live, heard, outcome)
