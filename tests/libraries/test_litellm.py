"""The real `litellm`, over the openai library and over its own HTTP. `make test-libraries` has what it needs."""

import asyncio
import json
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

import otel_llm
from otel_llm.sim import Behaviour, SimServer
from otel_llm.testing import CLOSE, ScriptedServer
from tests import exits
from tests.langchain_over_openai import SSE, stalling
from tests.telemetry_in_memory import Seen
from tests.vocabulary import metric_name

litellm = pytest.importorskip("litellm", reason="needs the libraries: make test-libraries")

NAMES = (
    *("completion", "acompletion", "text_completion", "atext_completion", "responses", "aresponses"),
    *("embedding", "aembedding"),
)
MESSAGES: Any = [{"role": "user", "content": "hi"}]


@pytest.fixture(autouse=True)
def _instrumented() -> Iterator[None]:
    before = [getattr(litellm, name) for name in NAMES]
    otel_llm.instrument(include=["litellm", "openai"])
    assert all(getattr(litellm, name) is not function for name, function in zip(NAMES, before, strict=True))
    yield
    otel_llm.uninstrument()
    assert all(getattr(litellm, name) is function for name, function in zip(NAMES, before, strict=True))


@pytest.fixture(scope="module")
def sim() -> Iterator[str]:
    with SimServer(Behaviour(ttft_ms=200, itl_ms=5, role_ms=0, tokens=6)) as server:
        yield server.url + "/v1"


def asked(url: str, **more: Any) -> Any:
    return {"model": "openai/tiny", "messages": MESSAGES, "api_base": url, "api_key": "none", **more}


def text_of(chunk: Any) -> Any:
    return chunk.choices[0].delta.content if chunk.choices else None


def outer_of(seen: Seen) -> Any:
    """The span of litellm's own call; that of the library below it is its child."""
    (outer,) = [span for span in seen.spans if span.parent is None]
    assert all(span.parent.span_id == outer.context.span_id for span in seen.spans if span.parent is not None)
    return outer


def test_4_what_a_call_says_and_that_it_is_counted_once(sim: str, seen_live: Seen) -> None:
    answer = litellm.completion(**asked(sim, temperature=0.5, max_tokens=6))
    assert len(seen_live.spans) == 2  # openai's is inside
    span = outer_of(seen_live)
    assert (span.name, span.kind.name) == ("chat openai/tiny", "CLIENT")
    expected = {
        "gen_ai.provider.name": "openai",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 6,
        "gen_ai.response.id": answer.id,
        "gen_ai.usage.output_tokens": answer.usage.completion_tokens,
        "gen_ai.response.finish_reasons": (answer.choices[0].finish_reason,),
        "server.address": "127.0.0.1",
    }
    assert expected.items() <= dict(span.attributes).items()
    (duration,) = seen_live.points(metric_name("operation_duration"))
    assert duration.count == 1
    assert {point.count for point in seen_live.points(metric_name("token_usage"))} == {1}


@pytest.mark.parametrize("way", ["sync", "async"])
def test_the_first_token_is_the_one_with_text_and_not_the_role(way: str, sim: str, seen_live: Seen) -> None:
    """The role comes at 0 ms, the text at 200: in the best of a few, the machine is shared."""

    async def ask() -> None:
        for _ in range(5):
            stream = await litellm.acompletion(**asked(sim, stream=True))
            assert isinstance(stream, litellm.CustomStreamWrapper)
            assert len([chunk async for chunk in stream if text_of(chunk)]) == 6

    if way == "async":
        asyncio.run(ask())
    else:
        for _ in range(5):
            stream = litellm.completion(**asked(sim, stream=True))
            assert isinstance(stream, litellm.CustomStreamWrapper)
            assert len([chunk for chunk in stream if text_of(chunk)]) == 6
    outers = [span for span in seen_live.spans if span.parent is None]
    assert len(outers) == 5
    assert 0.195 < min((span.attributes or {})["otel_llm.time_to_first_token"] for span in outers) < 0.25
    (first,) = seen_live.points(metric_name("time_to_first_token"))
    assert first.count == 5
    (gaps,) = seen_live.points(metric_name("inter_token_latency"))
    assert gaps.count == 5 * 5


def test_text_completion(sim: str, seen_live: Seen) -> None:
    litellm.text_completion(model="text-completion-openai/tiny", prompt="hi", api_base=sim, api_key="none")
    span = outer_of(seen_live)
    assert span.name == "text_completion text-completion-openai/tiny"
    assert span.attributes["gen_ai.provider.name"] == "openai"


def test_embeddings_are_counted_once_whichever_way_the_client_is_asked(seen_live: Seen) -> None:
    body = json.dumps({
        "object": "list", "model": "tiny-2", "usage": {"prompt_tokens": 7, "total_tokens": 7},
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
    }).encode()  # fmt: skip
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for more in ({}, {"encoding_format": "float"}):
        with ScriptedServer([head + body, CLOSE]) as server:
            litellm.embedding(model="openai/tiny", input=["hi"], api_base=server.url, api_key="none", **more)
        assert "traceparent" in server.requests[0].headers
    names = sorted(span.name for span in seen_live.spans)
    assert names == ["embeddings openai/tiny", "embeddings openai/tiny", "embeddings tiny", "embeddings tiny"]
    counts = [point.count for point in seen_live.points(metric_name("operation_duration"))]
    assert counts == [1, 1]  # of two servers


def test_3_a_router_calls_them_once_for_each_attempt(sim: str, seen_live: Seen) -> None:
    given = asked(sim, max_retries=0)
    del given["messages"]
    failing = {**given, "extra_body": {"sim": {"fault": "429"}}}
    router = litellm.Router(
        model_list=[
            {"model_name": "first", "litellm_params": failing},
            {"model_name": "second", "litellm_params": given},
        ],
        fallbacks=[{"first": ["second"]}],
        num_retries=0,
    )

    async def ask() -> None:
        assert (await router.acompletion("second", MESSAGES)).usage.completion_tokens == 6

    assert router.completion("first", MESSAGES).usage.completion_tokens == 6
    asyncio.run(ask())
    outers = [span for span in seen_live.spans if span.parent is None]
    errors = [(span.attributes or {}).get("error.type") for span in outers]
    assert errors == ["litellm.exceptions.RateLimitError", None, None]


def _event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': 0, **members})}\n\n".encode()


def test_responses_which_litellm_sends_itself(seen_live: Seen) -> None:
    answer: Any = {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "tiny-2", "output": [], "status": "completed",
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
    }  # fmt: skip
    place = {"item_id": "i", "output_index": 0, "content_index": 0}
    script = (
        SSE + _event("response.created", response={**answer, "status": "in_progress", "usage": None}),
        0.5,
        _event("response.output_text.delta", delta="one", **place),
        _event("response.completed", response=answer),
        CLOSE,
    )
    with ScriptedServer(script) as server:
        asked = {"model": "openai/gpt-4o", "input": "hi", "api_base": server.url, "api_key": "none", "stream": True}
        list(litellm.responses(**asked))  # it loads what it needs for its first answer while that waits to be read
        list(litellm.responses(**asked))
    found = seen_live.spans[-1].attributes or {}
    assert found["otel_llm.time_to_first_token"] > found["gen_ai.response.time_to_first_chunk"] + 0.2
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (7, 3)
    assert found["gen_ai.response.finish_reasons"] == ("completed",)


def test_an_error_is_litellms_own_kind(sim: str, seen_live: Seen) -> None:
    with pytest.raises(litellm.RateLimitError):
        litellm.completion(**asked(sim, max_retries=0, extra_body={"sim": {"fault": "429"}}))
    outer = outer_of(seen_live)
    assert outer.attributes["error.type"] == "litellm.exceptions.RateLimitError"
    (duration,) = seen_live.points(metric_name("operation_duration"))
    assert duration.count == 1


@pytest.mark.parametrize(
    ("given", "provider"),
    [
        ({"model": "azure/mine"}, "azure.ai.openai"),
        ({"model": "gpt-4o"}, "openai"),
        ({"model": "mine", "custom_llm_provider": "bedrock"}, "aws.bedrock"),
        ({"model": "vertex_ai/gemini-pro"}, "gcp.vertex_ai"),
        ({"model": "nobody/knows"}, None),
    ],
)
def test_who_is_asked(given: dict[str, str], provider: str | None) -> None:
    from otel_llm.instrumentation.libraries.litellm import _describe

    assert _describe(None, given)["provider"] == provider


def test_4_trace_headers_go_out_once_and_name_the_call_below(sim: str, seen_live: Seen) -> None:
    body = json.dumps({
        "id": "1", "object": "chat.completion", "created": 1, "model": "tiny",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a"}}],
    }).encode()  # fmt: skip
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with ScriptedServer([head + body, CLOSE]) as server:
        litellm.completion(**asked(server.url))
    (inner,) = [span for span in seen_live.spans if span.parent is not None]
    assert inner.context is not None
    (request,) = server.requests
    assert request.headers["traceparent"][:-2] == f"00-{inner.context.trace_id:032x}-{inner.context.span_id:016x}-"


# -- left in mid-stream --------------------------------------------------------------------------------------------


@pytest.fixture
def stalled() -> Iterator[str]:
    with stalling() as server:
        yield server.url


@pytest.mark.parametrize(("leave", "outcome"), exits.GOES)
def test_it_may_be_left(leave: Any, outcome: str, stalled: str, seen_live: Seen, heard: Any) -> None:
    leave(lambda: litellm.completion(**asked(stalled, stream=True)), text_of)
    exits.told(seen_live, heard, outcome)


@pytest.mark.parametrize(("leave", "outcome"), exits.ASYNC)
def test_it_may_be_left_async(leave: Any, outcome: str, stalled: str, seen_live: Seen, heard: Any) -> None:
    async def nothing() -> None:
        pass

    exits.run(leave, lambda: litellm.acompletion(**asked(stalled, stream=True)), text_of, nothing)
    exits.told(seen_live, heard, outcome)


# -- names ---------------------------------------------------------------------------------------------------------


def test_3_a_name_that_was_bound_early_or_late(sim: str, seen_live: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    original = litellm.completion.__wrapped__
    early, late = types.ModuleType("early_app"), types.ModuleType("late_app")
    early.ask = late.ask = None  # type: ignore[attr-defined]
    otel_llm.uninstrument()
    for module in (early, late):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    exec("from litellm import completion as ask", early.__dict__)  # noqa: S102
    otel_llm.instrument(include=["litellm"])
    exec("from litellm import completion as ask", late.__dict__)  # noqa: S102
    for module in (early, late):
        module.ask(**asked(sim))  # type: ignore[attr-defined]
    assert len([span for span in seen_live.spans if span.parent is None]) == 2
    otel_llm.uninstrument()
    assert early.ask is late.ask is litellm.completion is original  # type: ignore[attr-defined]
    otel_llm.instrument(include=["litellm", "openai"])
