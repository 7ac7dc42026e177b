"""`OpenAICompatibleLLM` against the simulated server, which knows its schedule, and one that says what it is told."""

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from otel_llm.errors import RemoteError
from otel_llm.models import OpenAICompatibleLLM
from otel_llm.sim.behaviour import Behaviour
from otel_llm.sim.process import SimProcess


@pytest.fixture(scope="module")
def sim() -> Iterator[str]:
    with SimProcess(Behaviour(ttft_ms=60, itl_ms=10, tokens=8)) as process:
        yield process.url + "/v1"


@pytest.fixture
def model(sim: str) -> OpenAICompatibleLLM:
    return OpenAICompatibleLLM("sim", base_url=sim)


def test_a_stream_is_timed_to_the_schedule_of_the_server(model: OpenAICompatibleLLM, seen_live: Any) -> None:
    list(model.stream("warm the connection"))
    seen_live.exporter.clear()
    assert "".join(model.stream("hello")) == " tok" * 8
    measured, attributes = model.metrics(), seen_live.span().attributes
    assert measured is not None
    assert (measured.output_tokens, measured.token_source) == (8, "provider")
    assert measured.input_tokens is not None
    assert measured.time_to_first_token is not None
    assert 0.059 < measured.time_to_first_token < 0.2
    assert measured.time_per_output_token == pytest.approx(0.01, rel=0.5)
    assert seen_live.span().kind.name == "CLIENT"
    assert attributes["server.address"] == "127.0.0.1"
    assert attributes["gen_ai.request.stream"] is True
    assert attributes["gen_ai.response.finish_reasons"]


def test_it_does_not_have_to_stream(model: OpenAICompatibleLLM, seen_live: Any) -> None:
    assert model.run("hello") == " tok" * 8
    assert asyncio.run(model.arun("hello")) == " tok" * 8
    measured = model.metrics()
    assert measured is not None
    assert (measured.output_tokens, measured.time_to_first_token) == (8, None)
    assert len(seen_live.spans) == 2


def test_it_streams_to_asyncio_and_many_at_once(model: OpenAICompatibleLLM, seen_live: Any) -> None:
    async def consume() -> str:
        return "".join([piece async for piece in model.astream("hello")])

    async def many() -> list[str]:
        return await asyncio.gather(*(consume() for _ in range(5)))

    assert asyncio.run(many()) == [" tok" * 8] * 5
    assert len(seen_live.spans) == 5


def test_leaving_a_stream_closes_the_connection(model: OpenAICompatibleLLM, seen_live: Any) -> None:
    for _ in model.stream("hello"):
        break

    async def leave() -> None:
        async for _ in model.astream("hello"):
            break

    asyncio.run(leave())
    assert [span.attributes["otel_llm.stream.outcome"] for span in seen_live.spans] == ["abandoned"] * 2


class Server:
    """Answers what it was told to, and keeps what it was sent."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.status, self.answer, self.content_type = 200, b"{}", "application/json"
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                outer.headers.append(dict(self.headers))
                self.send_response(outer.status)
                self.send_header("Content-Type", outer.content_type)
                self.send_header("Content-Length", str(len(outer.answer)))
                self.end_headers()
                self.wfile.write(outer.answer)

            def log_message(self, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def test_parameters_and_tools_go_out_as_they_are(server: Server, seen_live: Any) -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
    calls = [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    server.answer = json.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}]}).encode()
    model = OpenAICompatibleLLM(
        "m", base_url=server.url, temperature=0.2, stop_token="END", system_prompt="Be brief.",
        parameters={"user": "me"},
    )  # fmt: skip
    assert model.run("weather?", tools=tools) == message
    assert server.asked[0] == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "weather?"}],
        "stream": False,
        "temperature": 0.2,
        "stop": ["END"],
        "user": "me",
        "tools": tools,
    }


def test_a_key_is_sent_and_shown_nowhere(
    server: Server, seen_live: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    server.answer = b'{"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}'
    monkeypatch.setenv("MY_KEY", "sk-from-environment")
    with caplog.at_level(logging.DEBUG):
        for model in (
            OpenAICompatibleLLM("m", base_url=server.url, api_key="sk-given"),
            OpenAICompatibleLLM("m", base_url=server.url, api_key_env="MY_KEY"),
        ):
            assert model.run("x") == "hi"
            assert "sk-" not in repr(model)
            assert "sk-" not in model.save_checkpoint(tmp_path).read_text()
    assert [h["Authorization"] for h in server.headers] == ["Bearer sk-given", "Bearer sk-from-environment"]
    assert "sk-" not in caplog.text
    assert "sk-" not in "".join(span.to_json() for span in seen_live.spans)


FAILURES = [
    (429, b"slow down", "http_429"),
    (500, b"", "http_500"),
    (200, b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n', "no_finish"),
    (200, b'data: {"error": {"message": "overloaded"}}\n\n', "stream_error"),
    (200, b"data: no json\n\n", "bad_event"),
]


@pytest.mark.parametrize(("status", "answer", "kind"), FAILURES)
def test_failures_are_raised_and_counted_by_kind(
    status: int, answer: bytes, kind: str, server: Server, seen_live: Any
) -> None:
    server.status, server.answer, server.content_type = status, answer, "text/event-stream"
    model = OpenAICompatibleLLM("m", base_url=server.url)
    with pytest.raises(RemoteError) as raised:
        list(model.stream("x"))
    assert raised.value.kind == kind
    attributes = seen_live.span().attributes
    assert (attributes["error.type"], attributes["otel_llm.stream.outcome"]) == (kind, "error")


def test_chat_sends_messages(server: Server, seen_live: Any) -> None:
    server.answer = b'{"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}'
    model = OpenAICompatibleLLM("m", base_url=server.url)
    model.chat("one")
    model.chat("two")
    assert [m["content"] for m in server.asked[1]["messages"]] == ["one", "hi", "two"]
    assert len(seen_live.spans) == 2
