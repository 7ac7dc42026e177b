"""What servers and networks do to `OpenAICompatibleLLM`: a RemoteError that says so, or an answer none the less."""

import gc
import json
import multiprocessing
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_llm.errors import ConfigError, RemoteError
from otel_llm.models import OpenAICompatibleLLM
from otel_llm.testing import CLOSE, RESET, STALL, ScriptedServer

ANSWER: dict[str, Any] = {
    "id": "c1",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "abc"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 3},
}
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module", autouse=True)
def _connections_closed() -> Iterator[None]:
    """Leave nothing for the collector of the tests that come after: errors that were raised here hold connections."""
    yield
    for _ in range(20):
        if not gc.collect():
            return
        threading.Event().wait(0.05)  # for the thread that closes them


def whole(body: Any, status: str = "200 OK", kind: str = "application/json") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


def event(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    data = b"data: " + json.dumps({"id": "c1", "model": "m", "choices": [choice]}).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


def llm(server: ScriptedServer, **more: Any) -> OpenAICompatibleLLM:
    return OpenAICompatibleLLM("m", base_url=server.url + "/v1", **more)


def failure(*script: Any, stream: bool = False, **more: Any) -> RemoteError:
    with ScriptedServer([*script]) as server:
        model = llm(server, **more)
        ask: Any = (lambda: list(model.stream("hi"))) if stream else (lambda: model.run("hi"))
        with pytest.raises(RemoteError) as raised:
            ask()
    return raised.value


ERROR_BODIES = [
    {"object": "error", "message": "no such model", "code": 404},
    {"code": 1, "msg": "quota"},
    {"detail": "not loaded"},
    {"choices": []},
    {"choices": None, "message": "nothing"},
    {},
]


@pytest.mark.parametrize("body", ERROR_BODIES)
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_of_any_shape_with_status_200_is_raised_in_the_servers_words(
    body: dict[str, Any], stream: bool, seen_live: Any
) -> None:
    error = failure(whole(body), stream=stream)
    assert error.kind == "no_answer"
    assert json.dumps(body) in str(error)
    assert seen_live.span().attributes["error.type"] == "no_answer"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "overloaded", "type": "busy"}}, "stream_error"),
        ({"error": "overloaded"}, "stream_error"),
        (b"<html>welcome</html>", "bad_event"),
        (b"[]", "bad_event"),
        (b"null", "bad_event"),
        (b"", "bad_event"),
        ({"choices": "none"}, "bad_event"),
    ],
)
def test_what_is_no_answer_at_all_is_raised_by_its_kind(body: Any, kind: str, stream: bool, seen_live: Any) -> None:
    assert failure(whole(body), stream=stream).kind == kind


NETWORK: dict[str, tuple[list[Any], str]] = {
    "reset in a stream": ([STREAM + event("a"), RESET], "disconnect"),
    "closed in a body": ([whole(ANSWER)[:-3], CLOSE], "disconnect"),
    "closed before the head": ([CLOSE], "disconnect"),
    "nothing comes": ([STALL], "read_timeout"),
    "nothing comes after a piece": ([STREAM + event("a"), STALL], "read_timeout"),
    "no HTTP": ([b"SSH-2.0-OpenSSH_9.6\r\n", CLOSE], "bad_http"),
    "refused by the server": ([whole({"error": "slow down"}, "429 Too Many")], "http_429"),
    "moved": ([b"HTTP/1.1 307 X\r\nLocation: /v2\r\nContent-Length: 0\r\n\r\n"], "http_307"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("what", NETWORK)
def test_what_a_network_does_is_a_remote_error_by_its_kind(what: str, stream: bool, seen_live: Any) -> None:
    script, kind = NETWORK[what]
    error = failure(*script, stream=stream, timeout=0.3)
    assert error.kind == kind
    attributes = seen_live.span().attributes
    assert (attributes["error.type"], attributes["otel_llm.stream.outcome"]) == (kind, "error")


@pytest.mark.parametrize(("host", "kind"), [("127.0.0.1", "connect"), ("nowhere.invalid", "dns")])
def test_a_server_that_is_not_there_is_a_remote_error(
    host: str, kind: str, seen_live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in [name for name in os.environ if "proxy" in name.lower()]:
        monkeypatch.delenv(variable)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        model = OpenAICompatibleLLM("m", base_url=f"http://{host}:{taken.getsockname()[1]}/v1")
        with pytest.raises(RemoteError) as raised:
            model.run("hi")
    assert raised.value.kind == kind


@pytest.mark.parametrize(
    ("base", "asked"),
    [
        ("/v1", "/v1/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("", "/chat/completions"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/openai/deployments/d?api-version=1", "/openai/deployments/d/chat/completions?api-version=1"),
        ("/v1/?key=a&x=1#part", "/v1/chat/completions?key=a&x=1"),
    ],
)
def test_the_path_goes_before_the_query_of_a_base_url(base: str, asked: str, seen_live: Any) -> None:
    with ScriptedServer([whole(ANSWER)]) as server:
        assert OpenAICompatibleLLM("m", base_url=server.url + base).run("hi") == "abc"
        assert [request.path for request in server.requests] == [asked]


@pytest.mark.parametrize("base", ["localhost:8000/v1", "ftp://h/v1", "http:///v1", "my-server"])
def test_a_base_url_that_is_none_is_refused(base: str) -> None:
    with pytest.raises(ConfigError, match=r"a base URL of http or https, got .*such as http://127\.0\.0\.1:8000/v1"):
        OpenAICompatibleLLM("m", base_url=base)


def test_a_server_that_answers_json_to_a_stream_is_read_none_the_less(seen_live: Any) -> None:
    with ScriptedServer([whole(ANSWER)]) as server:
        model = llm(server)
        assert list(model.stream("hi")) == ["abc"]
    measured = model.metrics()
    assert measured is not None
    assert (measured.input_tokens, measured.output_tokens, measured.token_source) == (5, 3, "provider")
    assert seen_live.span().attributes["gen_ai.response.finish_reasons"] == ("stop",)


def test_a_connection_that_the_server_closed_meanwhile_fails_no_call(seen_live: Any) -> None:
    """The server closes each connection right after its answer, which does not say so."""
    with ScriptedServer([whole(ANSWER), CLOSE]) as server:
        model = llm(server)
        assert [model.run("hi") for _ in range(50)] == ["abc"] * 50
        assert len(server.requests) == 50


def test_a_request_that_was_refused_on_a_new_connection_is_not_sent_again(seen_live: Any) -> None:
    with ScriptedServer([CLOSE]) as server:
        with pytest.raises(RemoteError):
            llm(server).run("hi")
        assert len(server.requests) == 1


def test_a_forked_child_has_connections_of_its_own(seen_live: Any) -> None:
    with ScriptedServer([whole(ANSWER)]) as server:
        model = llm(server)
        assert model.run("before") == "abc"
        context = multiprocessing.get_context("fork")
        told = context.SimpleQueue()
        child = context.Process(target=lambda: told.put([model.run("hi"), *model.stream("hi")]))
        child.start()
        assert told.get() == ["abc", "abc"]
        child.join()
        assert model.run("after") == "abc"


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_leaving_a_stream_leaves_nothing_in_the_log(way: str, seen_live: Any, caplog: pytest.LogCaptureFixture) -> None:
    import asyncio

    async def leave(model: OpenAICompatibleLLM) -> None:
        stream = model.astream("hi")
        async for _ in stream:
            break
        await stream.aclose()  # type: ignore[attr-defined]

    closed = threading.Event()
    with ScriptedServer([STREAM + event("a"), STALL]) as server:
        model = llm(server)
        if way == "stream":
            for _ in model.stream("hi"):
                break
        else:
            asyncio.run(leave(model))
        for _ in range(5):
            gc.collect()
            closed.wait(0.05)
    assert caplog.text == ""
    assert seen_live.outcome() in ("abandoned", "closed_early")


# -- checkpoints -------------------------------------------------------------------------------------------------------


def saved(folder: Path, **changes: Any) -> Path:
    path = OpenAICompatibleLLM("m", base_url="http://h/v1", temperature=0.5).save_checkpoint(folder)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return path


BROKEN = [
    {"version": -5},
    {"version": 0},
    {"version": True},
    {"version": 1.0},
    {"version": "1"},
    {"version": None},
    {"version": 2},
    {"parameters": []},
    {"history": "said"},
    {"creative": [1]},
    {"extra": ["url"]},
    {"extra": {"url": "http://h/v1"}},
    {"extra": {"url": 5, "api_key_env": "K", "parameters": {}}},
    {"extra": {"url": "no url", "api_key_env": "K", "parameters": {}}},
    {"extra": {"url": "http://h/v1", "api_key_env": "K", "parameters": 5}},
]


@pytest.mark.parametrize("changes", BROKEN)
def test_a_checkpoint_that_cannot_be_used_changes_nothing(changes: dict[str, Any], tmp_path: Path) -> None:
    path = saved(tmp_path, **changes)
    model = OpenAICompatibleLLM("other", base_url="http://127.0.0.1:1/v1", temperature=0.1)
    with pytest.raises(ConfigError):
        model.load_checkpoint(path)
    assert (model.model_name, model.temperature) == ("other", 0.1)
    assert model.endpoint.url == "http://127.0.0.1:1/v1/chat/completions"
    assert model.api_key_env == "OPENAI_API_KEY"


@pytest.mark.parametrize("nesting", ["[" * 200_000 + "]" * 200_000, '{"a":' * 100_000 + "1" + "}" * 100_000])
def test_a_checkpoint_that_is_nested_too_deep_is_refused(nesting: str, tmp_path: Path) -> None:
    path = tmp_path / "deep.ckpt"
    path.write_text('{"format":"otel_llm.checkpoint","version":1,"parameters":{},"history":' + nesting + "}")
    with pytest.raises(ConfigError, match="damaged or no checkpoint at all"):
        OpenAICompatibleLLM("m", base_url="http://127.0.0.1:1/v1").load_checkpoint(path)


def test_a_checkpoint_sets_no_attribute_but_the_parameters(tmp_path: Path) -> None:
    path = saved(tmp_path, creative={"run": "theirs", "temperature": 0.3}, parameters={"run": "theirs", "seed": 7})
    model = OpenAICompatibleLLM("m", base_url="http://127.0.0.1:1/v1")
    model.load_checkpoint(path)
    model.toggle_creative_mode(enable=False)
    assert callable(model.run)
    assert (model.seed, model.temperature) == (7, 0.3)
