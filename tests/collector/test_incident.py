"""`otel-llm incident` on answers as Prometheus gives them: one trace of the slowest, keys, refusals, nothing at all."""

import http.server
import json
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from otel_llm.cli import main

KEY = "Bearer of-the-store"
EXEMPLARS = [
    {
        "seriesLabels": {"job": "app"},
        "exemplars": [
            {"labels": {"trace_id": "a" * 32}, "value": "0.4", "timestamp": 1.0},
            {"labels": {"trace_id": "b" * 32}, "value": "7.25", "timestamp": 2.0},
            {"labels": {}, "value": "9", "timestamp": 3.0},
        ],
    }
]
DOWN = {"metric": {"job": "pods", "instance": "gpu-1:8000"}, "value": [0, "1"]}


class Handler(http.server.BaseHTTPRequestHandler):
    """A store in which one engine is down."""

    down = True
    page = b""
    """What another server would answer, in place of Prometheus."""

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["content-length"])).decode()
        path = urlsplit(self.path).path.rpartition("/")[2]
        allowed = self.headers.get("authorization") == KEY
        found = [DOWN] if self.down and "up+%3D%3D+0" in asked and path == "query" else []
        data = EXEMPLARS if path == "query_exemplars" else {"resultType": "vector", "result": found}
        self.send_response(200 if allowed else 401)
        self.end_headers()
        answer = self.page or json.dumps({"status": "success", "data": data}).encode()
        self.wfile.write(answer if allowed else b"no key")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_trace_of_the_slowest_first_token_is_shown(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--prometheus", url, "--header", f"Authorization: {KEY}", "--runbook-url", "https://wiki.example/llm"]
    assert main(["incident", *words]) == 0
    said = capsys.readouterr().out
    assert f"one trace: {'b' * 32} (first token after 7.25 s)" in said
    assert "no model (job pods): a replica does not answer, for longer than 10 min, or always" in said
    assert "runbook   https://wiki.example/llm/OtelLlmScrapeMissing.md" in said


def test_without_the_key_it_says_what_the_store_said(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["incident", "--prometheus", url, "--header", "Authorization: Bearer wrong"]) == 2
    said = capsys.readouterr().err
    assert "got '401 no key'" in said
    assert "wrong" not in said


def test_a_page_that_is_not_prometheus_is_called_that(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "page", b"<!doctype html>")
    assert main(["incident", "--prometheus", url, "--header", f"Authorization: {KEY}"]) == 2
    assert "got 'an answer of something else'; see --prometheus" in capsys.readouterr().err


def test_an_empty_store_is_not_called_well(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "down", False)
    assert main(["incident", "--prometheus", url, "--header", f"Authorization: {KEY}"]) == 0
    assert capsys.readouterr().out.startswith("nothing known: no series")
