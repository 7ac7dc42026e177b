"""Base URLs, and the model of a server that has one."""

import json
from collections.abc import Callable

import pytest

from otel_llm.load.plan.endpoint import complete_url
from otel_llm.testing import CLOSE, ScriptedServer
from otel_llm.wire.discovery import load_protocol
from tests.load.conftest import Perf
from tests.load.test_secrets import ANSWER, refusal

Run = Callable[..., Perf]


def models(*names: str) -> bytes:
    """A list of models, as OpenAI's API has it."""
    body = json.dumps({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("given", "protocol", "whole"),
    [
        ("http://a:1", None, "http://a:1/v1/chat/completions"),
        ("http://a:1/", None, "http://a:1/v1/chat/completions"),
        ("http://a:1/v1", None, "http://a:1/v1/chat/completions"),
        ("http://a:1/v1/", None, "http://a:1/v1/chat/completions"),
        ("http://a/openai/v1?x=1", None, "http://a/openai/v1/chat/completions?x=1"),
        ("http://a/api/v3", None, "http://a/api/v3/chat/completions"),
        ("http://a/v1beta/openai/", None, "http://a/v1beta/openai/chat/completions"),
        ("http://a:1", "openai_completions", "http://a:1/v1/completions"),
        ("http://a:1/v1", "openai_responses", "http://a:1/v1/responses"),
        ("wss://a", "openai_responses", "wss://a/v1/responses"),
        ("http://a:1", "anthropic_messages", "http://a:1/v1/messages"),
        ("http://a:1/v1", "anthropic_messages", "http://a:1/v1/messages"),
        ("http://a:1", "ollama_chat", "http://a:1/api/chat"),
        ("http://a:1/api", "ollama_chat", "http://a:1/api/chat"),
        ("http://a:1", "tgi_generate", "http://a:1/generate_stream"),
    ],
)
def test_a_base_url_is_completed(given: str, protocol: str | None, whole: str) -> None:
    assert complete_url(given, load_protocol(protocol) if protocol else None) == whole


@pytest.mark.parametrize(
    "url", ["http://a/v1/completions", "http://a/x/chat/completions", "http://a/custom", "localhost", "http://[", "/v1"]
)
def test_any_other_url_stays_as_it_is(url: str) -> None:
    assert complete_url(url, None) == url


@pytest.mark.parametrize("base", ["", "/v1"])
def test_a_base_url_is_enough_and_that_is_said(perf: Run, base: str) -> None:
    with ScriptedServer([ANSWER, CLOSE]) as server:
        run = perf("--url", server.url + base, "--model", "m", "--prompt", "x")
        assert [asked.path for asked in server.requests] == ["/v1/chat/completions"]
    assert run.code == 0, run.err
    assert f"{base or '/'} is a base path: requests went to /v1/chat/completions" in run.report["notes"]
    assert run.report["run"]["arguments"]["url"] == f"{server.url}/v1/chat/completions"


def test_the_only_model_is_asked_for_once_and_that_is_said(perf: Run) -> None:
    with ScriptedServer([models("org/only")], [ANSWER, CLOSE]) as server:
        run = perf("--url", server.url, "--prompt", "x", "-n", "2", "--headers", "X-Mine=1")
        asked = list(server.requests)
    assert run.code == 0, run.err
    assert [each.path for each in asked] == ["/v1/models", *["/v1/chat/completions"] * 2]
    assert asked[0].headers["x-mine"] == "1"
    assert b'"model":"org/only"' in asked[1].body
    assert "no --model was given: org/only is the only one that the server lists" in run.report["notes"]
    assert run.report["run"]["arguments"]["model"] == "org/only"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (models("a", "b"), "expected --model NAME; give the name that the server knows the model by: one of a, b"),
        (models(), "knows the model by: the server lists none"),
        (refusal("no"), "expected --model NAME; give the name that the server knows the model by"),
    ],
)
def test_where_there_is_not_one_model_the_name_is_asked_for(perf: Run, answer: bytes, words: str) -> None:
    with ScriptedServer([answer, CLOSE]) as server:
        run = perf("--url", server.url, "--prompt", "x")
        assert len(server.requests) == 1
    assert run.code == 2
    assert words in run.err
    assert run.err.count("\n") == 1


@pytest.mark.parametrize("together", [True, False])
def test_several_urls_are_asked_in_turn_however_they_are_given(together: bool, perf: Run) -> None:
    with ScriptedServer([ANSWER, CLOSE]) as one, ScriptedServer([ANSWER, CLOSE]) as other:
        urls = [f"{server.url}/v1/chat/completions" for server in (one, other)]
        given = ["--url", *urls] if together else ["--url", urls[0], "--url", urls[1]]
        run = perf(*given, "--model", "m", "--prompt", "x", "-n", "4")
        assert run.code == 0, run.err
        assert [len(server.requests) for server in (one, other)] == [2, 2]
