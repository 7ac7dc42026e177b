"""The real `anthropic` and langchain-core, left in mid-stream in every way there is."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

import otel_llm
from otel_llm.testing import STALL, ScriptedServer
from tests import exits
from tests.langchain_over_openai import SSE, OverOpenAI, stalling
from tests.telemetry_in_memory import Seen


@pytest.fixture(autouse=True)
def _instrumented() -> Iterator[None]:
    otel_llm.instrument()
    yield
    otel_llm.uninstrument()


# -- anthropic -----------------------------------------------------------------------------------------------------


def _event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


MESSAGE: Any = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "tiny-2", "content": [], "stop_reason": None,
    "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1},
}  # fmt: skip
ASKED: Any = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}


@pytest.fixture
def claude() -> Iterator[str]:
    deltas = (
        part
        for word in ("one", "two", "three")
        for part in (0.01, _event("content_block_delta", index=0, delta={"type": "text_delta", "text": word}))
    )
    start = _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    with ScriptedServer([SSE + _event("message_start", message=MESSAGE) + start, *deltas, STALL]) as server:
        yield server.url


def _text_of(event: Any) -> str | None:
    return event.delta.text if event.type == "content_block_delta" else None


@pytest.mark.parametrize(("leave", "outcome"), [*exits.GOES, *exits.CLOSES, *exits.ENTERS])
def test_anthropic_create(leave: Any, outcome: str, claude: str, seen_live: Seen, heard: Any) -> None:
    with anthropic.Anthropic(base_url=claude, api_key="none") as client:
        leave(lambda: client.messages.create(**ASKED, stream=True), _text_of)
        exits.told(seen_live, heard, outcome)
    found = seen_live.span().attributes or {}
    assert found["gen_ai.usage.input_tokens"] == 3


@pytest.mark.parametrize(("leave", "outcome"), exits.ENTERS)
def test_anthropic_stream(leave: Any, outcome: str, claude: str, seen_live: Seen, heard: Any) -> None:
    with anthropic.Anthropic(base_url=claude, api_key="none") as client:
        leave(lambda: client.messages.stream(**ASKED), _text_of)
        exits.told(seen_live, heard, outcome)
    assert len(seen_live.spans) == 1


@pytest.mark.parametrize(("leave", "outcome"), exits.ASYNC)
def test_anthropic_async(leave: Any, outcome: str, claude: str, seen_live: Seen, heard: Any) -> None:
    client = anthropic.AsyncAnthropic(base_url=claude, api_key="none")
    exits.run(leave, lambda: client.messages.create(**ASKED, stream=True), _text_of, client.close)
    exits.told(seen_live, heard, outcome)
    assert len(seen_live.spans) == 1


# -- langchain-core, over openai -----------------------------------------------------------------------------------


@pytest.fixture
def model() -> Iterator[OverOpenAI]:
    with stalling() as server:
        yield OverOpenAI(url=server.url)


@pytest.mark.parametrize(("leave", "outcome"), [*exits.GOES, *exits.CLOSES])
def test_langchain(leave: Any, outcome: str, model: OverOpenAI, seen_live: Seen, heard: Any) -> None:
    leave(lambda: model.stream("hi"), lambda chunk: chunk.content)
    exits.told(seen_live, heard, outcome)
    assert len(seen_live.spans) == 2  # openai's is inside


@pytest.mark.parametrize(("leave", "outcome"), exits.ASYNC)
def test_langchain_async(leave: Any, outcome: str, model: OverOpenAI, seen_live: Seen, heard: Any) -> None:
    async def ask() -> Any:
        return model.astream("hi")

    async def nothing() -> None:
        pass

    exits.run(leave, ask, lambda chunk: chunk.content, nothing)
    exits.told(seen_live, heard, outcome)
    assert len(seen_live.spans) == 2
