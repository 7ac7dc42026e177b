"""The DashScope file of the `llmuses perf` guide, unchanged, against a server that answers as DashScope does.

S4.22, S4.23, S4.24
"""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_llm.sinks.stored_run import read_records
from otel_llm.testing import CLOSE, ScriptedServer
from otel_llm.testing.scripted import Step
from tests.load.conftest import Perf

PLUGIN = str(Path(__file__).parent.parent / "documents/dashscope_plugin.py")
PATH = "/api/v1/services/aigc/text-generation/generation"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream;charset=UTF-8\r\nConnection: close\r\n\r\n"


def event(number: int, text: str, tokens: int, reason: str = "null") -> bytes:
    data = {
        "output": {"text": text, "finish_reason": reason},
        "usage": {"input_tokens": 7, "output_tokens": tokens, "total_tokens": 7 + tokens},
        "request_id": "r-1",
    }
    return f"id:{number}\nevent:result\n:HTTP_STATUS/200\ndata:{json.dumps(data)}\n\n".encode()


GOOD: list[Step] = [
    HEAD, 0.02, event(1, "Why", 1), 0.02, event(2, " not", 2), 0.02, event(3, "?", 3), event(4, "", 3, "stop"), CLOSE,
]  # fmt: skip
REFUSED = {
    "code": "DataInspectionFailed",
    "message": "Output data may contain inappropriate content.",
    "request_id": "r",
}
BROKEN: list[Step] = [
    HEAD, event(1, "Why", 1), 0.02,
    f"id:2\nevent:error\n:HTTP_STATUS/400\ndata:{json.dumps(REFUSED)}\n\n".encode(), CLOSE,
]  # fmt: skip
INVALID = json.dumps({"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "r"}).encode()
UNAUTHORISED: list[Step] = [
    b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(INVALID)
    + INVALID,
]


def arguments(server: ScriptedServer) -> list[str]:
    return [
        "--url", f"{server.url}{PATH}", "--model", "qwen-turbo", "--parser", PLUGIN,
        "--headers", "X-DashScope-SSE=enable", "Authorization=Bearer sk-mine==", "--parameters", "top_p=0.8",
    ]  # fmt: skip


def test_the_guides_file_runs_unchanged(perf: Callable[..., Perf], tmp_path: Path) -> None:
    dataset = tmp_path / "lines.txt"
    dataset.write_text("Why?\nWhy not?\n")
    with ScriptedServer(GOOD) as server:
        run = perf(*arguments(server), "--dataset", str(dataset), "-n", "3")
        seen = server.requests
    assert run.code == 0, run.err
    assert [json.loads(request.body) for request in seen] == [
        {
            "model": "qwen-turbo", "input": {"messages": [{"role": "user", "content": text}]},
            "parameters": {"stream": True, "incremental_output": True, "top_p": 0.8},
        }
        for text in ("Why?", "Why not?", "Why?")
    ]  # fmt: skip
    assert {request.headers["x-dashscope-sse"] for request in seen} == {"enable"}
    report = run.report
    assert report["tokens"] == {"input": 21, "output": 9, "source": "provider"}
    assert report["measures"]["inter_token_latency"]["count"] == 6
    assert 0.015 < report["measures"]["inter_token_latency"]["p50"] < 0.035
    db = sqlite3.connect(run.run_file)
    assert db.execute("SELECT prompt_tokens, completion_tokens FROM result").fetchall() == [(7, 3)] * 3
    db.close()


@pytest.mark.parametrize(("script", "kind"), [(BROKEN, "stream_error"), (UNAUTHORISED, "401")])
def test_its_errors_are_failures(perf: Callable[..., Perf], script: list[Step], kind: str) -> None:
    with ScriptedServer(script) as server:
        run = perf(*arguments(server), "--prompt", "Why?", "-n", "2")
    assert run.code == 1
    assert run.report["requests"]["errors"] == {kind: 2}
    (said,) = {record.error_message for record in read_records(run.run_file)}
    assert "DataInspectionFailed" in str(said) or "InvalidApiKey" in str(said)


def whole(content_type: bytes, body: bytes) -> list[Step]:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (content_type, len(body))
    return [head + body]


ONE = json.dumps({"output": {"text": "Why not?"}, "usage": {"input_tokens": 7, "output_tokens": 3}}).encode()
OWN = json.dumps({"words": "Why not?", "usage": {"input_tokens": 7, "output_tokens": 3}}).encode()


@pytest.mark.parametrize(
    ("script", "flags"),
    [
        (GOOD, {}),
        (whole(b"application/json", ONE), {"whole_answer": 2}),
        (whole(b"text/event-stream", b"data: " + OWN + b"\n\n"), {}),
        (whole(b"text/event-stream", b"data:" + OWN + b"\n\ndata: [DONE]\n\n"), {}),
        (whole(b"application/x-ndjson", OWN + b"\n" + OWN + b"\n"), {}),
    ],
)
def test_the_guides_file_works_with_any_url_and_any_framing(
    perf: Callable[..., Perf], script: list[Step], flags: dict[str, int]
) -> None:
    with ScriptedServer(script) as server:
        url = f"{server.url}/api"
        run = perf("--url", url, "--model", "q", "--parser", PLUGIN, "--prompt", "Why?", "-n", "2")
    assert run.code == 0, run.err
    assert (run.report["tokens"]["input"], run.report["tokens"]["output"]) == (14, 6)
    assert {flag: run.report["flags"].get(flag) for flag in flags} == flags
    assert not any(flag.startswith("not_counted") for flag in run.report["flags"])


def test_an_error_of_a_server_that_no_url_names_is_a_failure(perf: Callable[..., Perf]) -> None:
    with ScriptedServer(whole(b"application/json", json.dumps(REFUSED).encode())) as server:
        run = perf("--url", f"{server.url}/api", "--model", "q", "--parser", PLUGIN, "--prompt", "Why?")
    assert (run.code, run.report["error_samples"]) == (1, {"stream_error": f"{REFUSED['code']}: {REFUSED['message']}"})
