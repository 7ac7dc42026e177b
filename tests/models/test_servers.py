"""`otel-llm perf` against two model servers that others wrote, each with a tiny model that really generates."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.load.conftest import Perf
from tests.models import tiny_gguf
from tests.models.servers import START_S, LlamaCpp, TransformersServe, needs

pytestmark = pytest.mark.timeout(400)

Run = Callable[..., Perf]

REQUESTS, TOKENS = 8, 24
PATHS = ["/v1/chat/completions", "/v1/completions"]


@pytest.fixture(scope="module")
def llama_cpp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaCpp]:
    needs("llama_cpp")
    needs("gguf")
    data = tmp_path_factory.mktemp("llama_cpp")
    tiny_gguf.write(data / "tiny.gguf")
    server = LlamaCpp(data, data / "tiny.gguf")
    try:
        yield server.start(START_S)
    finally:
        server.stop()


@pytest.fixture(scope="module")
def transformers_serve(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransformersServe]:
    needs("uvicorn")
    server = TransformersServe(tmp_path_factory.mktemp("transformers"), tiny)
    try:
        yield server.start(START_S)
    finally:
        server.stop()


def asked(server: LlamaCpp | TransformersServe, path: str) -> list[str]:
    return [
        *("--url", f"{server.url}{path}", "--model", server.model, "--prompt", "the quick brown fox"),
        *("--parameters", f"max_tokens={TOKENS}", "temperature=0"),
        *("-n", str(REQUESTS)),
    ]  # fmt: skip


def a_stream_was_measured(run: Perf) -> None:
    """Every token has its moment, and the moments make sense."""
    assert run.code == 0, run.err
    assert run.report["requests"]["succeeded"] == REQUESTS
    measures = run.report["measures"]
    first, gaps, whole = (measures[n] for n in ("time_to_first_token", "inter_token_latency", "request_latency"))
    assert first["count"] == whole["count"] == REQUESTS
    assert gaps["count"] == REQUESTS * (TOKENS - 1)
    assert 0 < first["p50"] < whole["p50"]
    assert gaps["mean"] * (TOKENS - 1) == pytest.approx(whole["mean"] - first["mean"], rel=0.5)
    print({name: round(measures[name]["p50"] * 1e3, 3) for name in ("time_to_first_token", "inter_token_latency")})


def events(run: Perf) -> list[str]:
    """The events of the first answer, as they came."""
    database = sqlite3.connect(run.run_file)
    (messages,) = database.execute("SELECT response_messages FROM result LIMIT 1").fetchone()
    database.close()
    found: list[str] = json.loads(messages)
    return found


@pytest.mark.parametrize("path", PATHS)
def test_llama_cpp_says_no_usage_and_its_chunks_are_counted(path: str, perf: Run, llama_cpp: LlamaCpp) -> None:
    run = perf(*asked(llama_cpp, path))
    a_stream_was_measured(run)
    assert run.report["tokens"] == {"input": 0, "output": REQUESTS * TOKENS, "source": "chunks"}
    assert events(run)[-1] == "[DONE]"


def test_llama_cpp_says_usage_of_a_whole_answer(perf: Run, llama_cpp: LlamaCpp) -> None:
    run = perf(*asked(llama_cpp, PATHS[0]), "--no-stream")
    assert run.code == 0, run.err
    assert run.report["tokens"]["source"] == "provider"
    assert run.report["tokens"]["output"] == REQUESTS * TOKENS
    assert run.report["tokens"]["input"] > REQUESTS * 4
    assert run.report["measures"]["time_to_first_token"]["count"] == 0


@pytest.mark.parametrize("path", PATHS)
def test_transformers_serve_says_usage_and_no_done(path: str, perf: Run, transformers_serve: TransformersServe) -> None:
    run = perf(*asked(transformers_serve, path))
    a_stream_was_measured(run)
    assert run.report["tokens"]["source"] == "provider"
    assert run.report["tokens"]["output"] == REQUESTS * TOKENS
    assert run.report["tokens"]["input"] > 0
    assert "[DONE]" not in events(run)
    assert json.loads(events(run)[-1])["usage"]["completion_tokens"] == TOKENS


def test_several_streams_at_once(perf: Run, transformers_serve: TransformersServe) -> None:
    run = perf(*asked(transformers_serve, PATHS[0]), "--parallel", "3")
    assert run.code == 0, run.err
    assert run.report["tokens"]["output"] == REQUESTS * TOKENS
