"""A server's version is asked once before a run, in the words of each engine, and harms nothing."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from otel_llm.cli import main
from otel_llm.load.server import version
from otel_llm.load.server.version import version_told
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.wire.discovery import load_protocol
from otel_llm.wire.target import Target
from tests.load.conftest import Perf

Answers = dict[str, tuple[int, dict[str, str], str]]
CHAT = "/v1/chat/completions"
ENGINES = [
    ("openai_chat", CHAT, "/version", '{"version": "0.11.0"}', "0.11.0"),  # vLLM
    ("openai_chat", CHAT, "/props", '{"total_slots": 1, "build_info": "b6910-c27efd2bd"}', "b6910-c27efd2bd"),
    ("openai_completions", "/v1/completions", "/server_info", '{"tp_size": 1, "version": "0.5.5"}', "0.5.5"),  # SGLang
    ("openai_chat", CHAT, "/get_server_info", '{"version": "0.4.6"}', "0.4.6"),  # SGLang before
    ("openai_chat", CHAT, "/info", '{"model_id": "m", "version": "3.3.6"}', "3.3.6"),  # TGI
    ("openai_chat", CHAT, "/api/version", '{"version": "0.12.3"}', "0.12.3"),  # Ollama
    ("ollama_chat", "/api/chat", "/api/version", '{"version": "0.12.3"}', "0.12.3"),
    ("llama_cpp_completion", "/completion", "/props", '{"build_info": "b6910"}', "b6910"),
    ("tgi_generate", "/generate_stream", "/info", '{"version": "3.3.6"}', "3.3.6"),
    ("triton_generate", "/v2/models/m/generate_stream", "/v2", '{"name": "triton", "version": "2.61.0"}', "2.61.0"),
    ("openai_chat", f"/llm{CHAT}", "/llm/version", '{"version": "0.11.0"}', "0.11.0"),  # behind a gateway
]
NOTHING: list[tuple[int, dict[str, str], str]] = [
    (404, {}, '{"version": "0.1"}'),
    (200, {}, "ok"),
    (200, {}, '{"version": {"major": "1"}}'),
    (200, {}, '["version"]'),
    (302, {"Location": "http://192.0.2.1/"}, ""),
    (200, {"Server": "uvicorn"}, "{}"),
    (500, {}, ""),
]


@contextmanager
def serving(answers: Answers) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """A server with answers by path, `*` for all others; yield its URL, and what it is asked: path, authorization."""
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            status, headers, body = answers.get(self.path) or answers.get("*") or (404, {}, "")
            self.send_response_only(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def told(url: str, protocol: str = "openai_chat", path: str = CHAT, **headers: str) -> str | None:
    return version_told([Target.parse(url + path)], load_protocol(protocol), headers, {})


@pytest.mark.parametrize(("protocol", "path", "address", "body", "expected"), ENGINES)
def test_each_engine_tells_it_in_its_way(protocol: str, path: str, address: str, body: str, expected: str) -> None:
    with serving({address: (200, {}, body)}) as (url, asked):
        said = told(url, protocol, path, Authorization="Bearer k")
    assert said == f"{expected} ({address.removeprefix('/llm')})"
    assert {key for _, key in asked} == {"Bearer k"}
    assert len(asked) == len({path for path, _ in asked})


@pytest.mark.parametrize("answer", NOTHING)
def test_what_tells_none_is_none(answer: tuple[int, dict[str, str], str]) -> None:
    with serving({"*": answer}) as (url, asked):
        assert told(url) is None
    assert len(asked) == len(load_protocol("openai_chat").versions)


def test_a_header_is_the_last_resort() -> None:
    answers: Answers = {"*": (404, {"Server": "TritonServer/2.61", "X-Engine-Version": "7"}, "")}
    with serving(answers) as (url, _):
        assert told(url) == "TritonServer/2.61 (header server)"
    with serving({"*": (404, {"X-Engine-Version": "7"}, "")}) as (url, _):
        assert told(url) == "7 (header x-engine-version)"
        assert told(url, "cohere_chat", "/v2/chat") is None  # which names no address: nobody is asked


def test_several_endpoints_are_asked_once_each_and_others_not_at_all() -> None:
    with serving({"/version": (200, {}, '{"version": "1"}')}) as (one, first):
        with serving({"/version": (200, {}, '{"version": "2"}')}) as (other, _):
            targets = [Target.parse(each + CHAT) for each in (one, other, one)]
            found = version_told(targets, load_protocol("openai_chat"), {}, {})
        assert (found, len(first)) == ("1 (/version), 2 (/version)", 1)
        by_socket = Target.parse(one + CHAT, unix="/tmp/none.sock")
        assert version_told([by_socket], load_protocol("openai_chat"), {}, {}) is None
        assert len(first) == 1


def test_a_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "_PATIENCE_NS", 100_000_000)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert told(url) is None
    assert told(url) is None  # nobody listens any more


def test_runs_of_two_versions_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a key that a server repeats as its version stands nowhere."""
    port = 0
    monkeypatch.setenv("KEY", "sk-9f8e7d6c5b4a")
    for said in ("0.11.0", "0.12.0 sk-9f8e7d6c5b4a", ""):
        with SimProcess(Behaviour(ttft_ms=1, tokens=2, server_version=said), port=port) as sim:
            port = urlsplit(sim.url).port or 0
            words = ("--url", sim.url + CHAT, "--model", "m", "--prompt", "Why?", "-n", "40", "--append")
            run = Perf(tmp_path).start(*words, "--api-key-env", "KEY").wait()
            assert run.code == 0, run.err
            assert run.report["run"]["versions"].get("server") == (
                said.replace("sk-9f8e7d6c5b4a", "[redacted]") + " (/version)" if said else None
            )
    out = tmp_path / "c.json"
    assert main(["compare", str(run.run_file), "--anyway", "--json", str(out)]) == 0
    second, third = json.loads(out.read_text())
    differs = ["version of server", "0.11.0 (/version)", "0.12.0 [redacted] (/version)"]
    assert second["differs"] == [differs]
    assert third["differs"] == []  # that one server tells nothing does not say that they differ
    assert "version of server: 0.11.0 (/version) and 0.12.0" in " ".join(capsys.readouterr().out.split())
