"""Beside other instrumentations, the real ones: of the openai library, and of httpx below it."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.resources.chat.completions import AsyncCompletions, Completions
from openai.resources.responses import AsyncResponses, Responses

import otel_llm
from otel_llm.sim import Behaviour, SimServer
from otel_llm.testing import CLOSE, ScriptedServer
from tests.telemetry_in_memory import Seen

genai_openai = pytest.importorskip("opentelemetry.instrumentation.genai.openai", reason="needs make test-libraries")
of_httpx = pytest.importorskip("opentelemetry.instrumentation.httpx", reason="needs make test-libraries")
httpx = pytest.importorskip("httpx")

ASKED: Any = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
OURS = [
    (cls, name) for cls in (Completions, AsyncCompletions, Responses, AsyncResponses) for name in ("create", "parse")
]
TRANSPORTS = [(httpx.HTTPTransport, "handle_request"), (httpx.AsyncHTTPTransport, "handle_async_request")]


@pytest.fixture(autouse=True)
def _the_very_same_functions_come_back() -> Iterator[None]:
    before = [(owner, name, vars(owner)[name]) for owner, name in (*OURS, *TRANSPORTS)]
    yield
    otel_llm.uninstrument()
    assert all(vars(owner)[name] is function for owner, name, function in before)


@pytest.fixture(scope="module")
def sim() -> Iterator[str]:
    with SimServer(Behaviour(ttft_ms=5, tokens=4)) as server:
        yield server.url + "/v1"


def warnings_of(heard: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in heard.records if record.name == "otel_llm.instrumentation"]


# -- of the same library -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["they", "we"])
def test_what_another_one_measures_is_left_to_it_with_one_warning(
    first: str, sim: str, seen_live: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = genai_openai.OpenAIInstrumentor()
    both = [
        lambda: theirs.instrument(tracer_provider=seen_live.tracers, meter_provider=seen_live.meters),
        lambda: otel_llm.instrument(include=["openai"]),
    ]

    async def asynchronously() -> None:
        async with openai.AsyncOpenAI(base_url=sim, api_key="none") as client:
            await client.chat.completions.create(**ASKED)

    with caplog.at_level(logging.WARNING, "otel_llm.instrumentation"):
        for begin in both if first == "they" else reversed(both):
            begin()
        with openai.OpenAI(base_url=sim, api_key="none") as client:
            client.chat.completions.create(**ASKED)
            list(client.chat.completions.create(**ASKED, stream=True))
        asyncio.run(asynchronously())
    theirs.uninstrument()
    assert len(warnings_of(caplog)) == 1
    assert "exclude one of the two" in warnings_of(caplog)[0]
    assert len(seen_live.spans) == 3
    assert {span.instrumentation_scope.name for span in seen_live.spans if span.instrumentation_scope} == {
        "opentelemetry.instrumentation.genai.openai"
    }
    assert sum(point.count for point in seen_live.points("gen_ai.client.operation.duration")) == 3


APP = """
import openai
with openai.OpenAI(base_url={url!r}, api_key="none") as client:
    asked = dict(model="tiny", messages=[], max_tokens=4)
    client.chat.completions.create(**asked)
    list(client.chat.completions.create(**asked, stream=True))
"""


def _zero_code(url: str, tmp_path: Path, **environ: str) -> tuple[list[Any], str]:
    """What the console exporters say of two calls under `opentelemetry-instrument`: the spans, and all of it."""
    app = tmp_path / "app.py"
    app.write_text(APP.format(url=url))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
    done = subprocess.run(
        [Path(sys.executable).with_name("opentelemetry-instrument"), "--traces_exporter", "console",
         "--metrics_exporter", "console", "--logs_exporter", "console", sys.executable, str(app)],
        env={**clean, "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true", **environ},
        capture_output=True, text=True, timeout=110, check=True,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    found, decoder, at = [], json.JSONDecoder(), 0
    while (at := done.stdout.find("{", at)) >= 0:
        said, at = decoder.raw_decode(done.stdout, at)
        found.append(said)
    return found, done.stdout + done.stderr


def _durations(found: list[Any]) -> int:
    return sum(
        point["count"]
        for said in found
        for resource in said.get("resource_metrics", ())
        for scope in resource["scope_metrics"]
        for metric in scope["metrics"]
        if metric["name"] == "gen_ai.client.operation.duration"
        for point in metric["data"]["data_points"]
    )


def test_4_without_a_change_to_the_program(sim: str, tmp_path: Path) -> None:
    found, said = _zero_code(sim, tmp_path)
    assert len([span for span in found if span.get("name") == "chat tiny"]) == 2
    assert _durations(found) == 2
    assert said.count("exclude one of the two") == 1


def test_4_the_other_one_may_be_left_out(sim: str, tmp_path: Path) -> None:
    found, said = _zero_code(sim, tmp_path, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="openai")
    ours = [span for span in found if span.get("name") == "chat tiny"]
    assert len(ours) == _durations(found) == 2
    assert "exclude one of the two" not in said
    sent = [span for span in found if span.get("name") == "POST"]
    assert sorted(span["parent_id"] for span in sent) == sorted(span["context"]["span_id"] for span in ours)


# -- of the HTTP client below --------------------------------------------------------------------------------------


BODY = json.dumps({
    "id": "1", "object": "chat.completion", "created": 1, "model": "tiny",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a"}}],
}).encode()  # fmt: skip
HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()


def is_of(span: Any, traceparent: str) -> bool:
    """Return whether it names that span, and was sent once: of two there would be both here."""
    return traceparent[:-2] == f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-"


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("first", ["they", "we"])
def test_4_headers_go_out_once_below_a_real_instrumentation_of_httpx(first: str, way: str, seen_live: Seen) -> None:
    theirs = of_httpx.HTTPXClientInstrumentor()
    both = [
        lambda: theirs.instrument(tracer_provider=seen_live.tracers),
        lambda: otel_llm.instrument(include=["openai"]),
    ]
    for begin in both if first == "they" else reversed(both):
        begin()

    async def asynchronously(url: str) -> None:
        async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
            await client.chat.completions.create(**ASKED)

    with ScriptedServer([HEAD + BODY, CLOSE]) as server:
        if way == "async":
            asyncio.run(asynchronously(server.url))
        else:
            with openai.OpenAI(base_url=server.url, api_key="none") as client:
                client.chat.completions.create(**ASKED)
    otel_llm.uninstrument() if first == "they" else theirs.uninstrument()
    theirs.uninstrument() if first == "they" else otel_llm.uninstrument()
    sent, ours = seen_live.spans
    assert (sent.name, ours.name) == ("POST", "chat tiny")
    assert sent.parent is not None
    assert sent.context is not None
    assert ours.context is not None
    assert sent.parent.span_id == ours.context.span_id
    (request,) = server.requests
    assert is_of(sent, request.headers["traceparent"])


def test_4_a_client_is_asked_for_its_own_transport(seen_live: Seen) -> None:
    """With another HTTP library instrumented, whose transport this client does not use, the headers are ours."""
    httpx2 = pytest.importorskip("httpx2")
    with openai.OpenAI(api_key="none") as client:
        other = httpx2 if type(client._client._transport).__module__.partition(".")[0] == "httpx" else httpx
    instrumentor = of_httpx.HTTPX2ClientInstrumentor if other is httpx2 else of_httpx.HTTPXClientInstrumentor
    theirs = instrumentor()
    theirs.instrument(tracer_provider=seen_live.tracers)
    try:
        otel_llm.instrument(include=["openai"])
        with (
            ScriptedServer([HEAD + BODY, CLOSE]) as server,
            openai.OpenAI(base_url=server.url, api_key="none") as client,
        ):
            client.chat.completions.create(**ASKED)
    finally:
        theirs.uninstrument()
    assert is_of(seen_live.span(), server.requests[0].headers["traceparent"])
