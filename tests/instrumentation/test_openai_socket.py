"""The real `openai` library's Responses over a WebSocket, against a server that answers by a script."""

import asyncio
import gc
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

import otel_llm
from otel_llm.instrumentation.calls import in_flight
from tests.telemetry_in_memory import Seen
from tests.vocabulary import metric_name

PLACE = {"item_id": "i", "output_index": 0, "content_index": 0}
PAUSE = 0.2


@pytest.fixture(autouse=True)
def _instrumented() -> Iterator[None]:
    otel_llm.instrument(include=["openai"])
    yield
    otel_llm.uninstrument()


def _response(**more: Any) -> Any:
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "tiny-2", "output": [], "tools": [],
        "parallel_tool_calls": True, "tool_choice": "auto", "status": "in_progress", **more,
    }  # fmt: skip


def _answer(asked: Any) -> Iterator[Any]:
    """Give the events of an answer, and pauses, in the lane that was asked for."""
    lane = {"stream_id": asked["stream_id"]} if "stream_id" in asked else {}

    def event(kind: str, **members: Any) -> Any:
        return {"type": kind, "sequence_number": 0, **members, **lane}

    if asked["model"] == "unknown":
        error = {"code": "model_not_found", "message": "no such model"}
        yield {"type": "error", "status": 404, "error": error}
        return
    yield event("response.created", response=_response())
    yield PAUSE
    yield event("response.output_text.delta", delta="one", **PLACE)
    if asked["model"] == "gone":
        yield None
    yield event("response.output_text.delta", delta="two", **PLACE)
    usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    yield event("response.completed", response=_response(status="completed", usage=usage))


def _serve(connection: ServerConnection) -> None:
    try:
        for message in connection:
            for step in _answer(json.loads(message)):
                if step is None:
                    connection.socket.close()
                    return
                if isinstance(step, float):
                    time.sleep(step)
                else:
                    connection.send(json.dumps(step))
    except (ConnectionClosed, OSError):
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server: Server = serve(_serve, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.socket.getsockname()[1]}/v1"
    server.shutdown()


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as library:
        yield library


def read(connection: Any) -> list[str]:
    """Read to the end of one answer."""
    kinds: list[str] = []
    for event in connection:
        kinds.append(event.type)
        if event.type in ("response.completed", "error"):
            break
    return kinds


def test_each_response_that_is_asked_for_is_a_call(client: openai.OpenAI, url: str, seen_live: Seen) -> None:
    with client.responses.connect() as connection:
        for _ in range(2):
            connection.response.create(model="tiny", input="hi", temperature=0.5, max_output_tokens=9)
            kinds = ["response.created", *["response.output_text.delta"] * 2, "response.completed"]
            assert read(connection) == kinds
        assert not {"parse_event", "recv_bytes", "close"} & vars(connection).keys()
    assert len(seen_live.spans) == 2
    found = dict(seen_live.spans[-1].attributes or {})
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "tiny",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "tiny-2",
        "gen_ai.response.id": "resp_1",
        "gen_ai.response.finish_reasons": ("completed",),
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
        "server.address": "127.0.0.1",
        "server.port": int(url.split(":")[2].partition("/")[0]),
        "otel_llm.stream.outcome": "complete",
    }
    assert expected.items() <= found.items()
    assert found["otel_llm.time_to_first_token"] > found["gen_ai.response.time_to_first_chunk"] + PAUSE * 0.9
    (duration,) = seen_live.points(metric_name("operation_duration"))
    assert duration.count == 2
    assert {point.value for point in seen_live.points(metric_name("active_requests"))} == {0}


def test_lanes_are_told_apart_and_async_is_alike(url: str, seen_live: Seen) -> None:
    async def ask() -> None:
        async with openai.AsyncOpenAI(base_url=url, api_key="none") as client, client.responses.connect() as connection:
            await connection.send({"type": "response.create", "model": "a", "input": "hi", "stream_id": "1"})
            await connection.response.create(model="b", input="hi", stream_id="2")
            for _ in range(8):
                await connection.recv()

    asyncio.run(ask())
    found = {(span.name, (span.attributes or {})["gen_ai.usage.output_tokens"]) for span in seen_live.spans}
    assert found == {("chat a", 3), ("chat b", 3)}
    assert {(span.attributes or {})["otel_llm.stream.outcome"] for span in seen_live.spans} == {"complete"}


def _refused(connection: Any) -> None:
    connection.response.create(model="unknown", input="hi")
    assert read(connection) == ["error"]


def _gone(connection: Any) -> None:
    connection.response.create(model="gone", input="hi")
    with pytest.raises(ConnectionClosed):
        read(connection)


def _closed(connection: Any) -> None:
    connection.response.create(model="tiny", input="hi")
    connection.recv()
    connection.close()


WAYS: dict[str, tuple[Callable[[Any], None], str, str | None]] = {
    "refused": (_refused, "error", "model_not_found"),
    "gone": (_gone, "error", "websockets.exceptions.ConnectionClosedError"),
    "closed": (_closed, "closed_early", None),
}


@pytest.mark.parametrize(("way", "outcome", "error"), WAYS.values(), ids=WAYS)
def test_every_end_is_told_once(
    way: Any, outcome: str, error: str | None, client: openai.OpenAI, seen_live: Seen
) -> None:
    with client.responses.connect() as connection:
        way(connection)
    found = seen_live.span().attributes or {}
    assert (found["otel_llm.stream.outcome"], found.get("error.type")) == (outcome, error)


def test_a_connection_that_nobody_holds_any_more_abandons_its_call(client: openai.OpenAI, seen_live: Seen) -> None:
    connection: Any = client.responses.connect().enter()
    connection.response.create(model="tiny", input="hi")
    socket = connection._connection
    connection.recv()
    del connection
    gc.collect()
    assert seen_live.outcome() == "abandoned"
    assert not in_flight.OPEN
    socket.close()
