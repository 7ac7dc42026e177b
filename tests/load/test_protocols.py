"""`otel-llm perf` where an answer is no stream: asked for so, or of a protocol that has none.

What streams is in `test_times_are_true.py`.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otel_llm.sim import Behaviour, SimProcess
from otel_llm.testing import CLOSE, ScriptedServer
from tests.load.conftest import Perf

Run = Callable[..., Perf]
TTFT, ITL = 0.060, 0.006


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with SimProcess(Behaviour(ttft_ms=TTFT * 1e3, itl_ms=ITL * 1e3, tokens=11, role_ms=0), log=True) as server:
        yield server


@pytest.mark.parametrize("name", ["bedrock_converse", "gemini", "tgi_generate", "triton_generate"])
def test_a_whole_answer_is_asked_for_where_the_protocol_has_it(perf: Run, sim: SimProcess, name: str) -> None:
    sim.reset()
    run = perf("--url", sim.url, "--protocol", name, "--model", "m", "--prompt", "hi", "--no-stream")
    assert run.code == 0, run.err
    assert run.report["measures"]["time_to_first_token"]["count"] == 0
    assert not sim.log()[0]["path"].endswith(("stream", "streamGenerateContent"))


@pytest.mark.parametrize("name", ["openai_embeddings", "rerank"])
def test_what_makes_no_token_has_a_latency_and_no_first_token(
    perf: Run, sim: SimProcess, name: str, tmp_path: Path
) -> None:
    sim.reset()
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}\n')
    run = perf(
        "--url", sim.url, "--protocol", name, "--model", "m", "--dataset", str(texts),
        "--dataset-format", "jsonl_messages", "-n", "6", "--parallel", "3",
    )  # fmt: skip
    assert run.code == 0, run.err
    measures = run.report["measures"]
    assert {what: figures["count"] for what, figures in measures.items() if figures["count"]} == {
        "request_latency": 6, "input_tokens": 6, "chunks": 6, "connect_time": measures["connect_time"]["count"],
    }  # fmt: skip
    assert measures["request_latency"]["min"] >= TTFT
    assert all(row["tokens"] == 0 for row in sim.log())


def test_a_batch_has_the_tokens_of_all_its_answers_and_no_first_token(
    perf: Run, sim: SimProcess, tmp_path: Path
) -> None:
    sim.reset()
    texts = tmp_path / "batches.jsonl"
    texts.write_text('{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}\n')
    run = perf(
        "--url", f"{sim.url}/v1/chat/completions/batch", "--model", "m", "--dataset", str(texts),
        "--dataset-format", "jsonl_messages", "-n", "6", "--parallel", "3",
    )  # fmt: skip
    assert run.code == 0, run.err
    measures = run.report["measures"]
    assert (measures["output_tokens"]["count"], measures["output_tokens"]["mean"]) == (6, 22)
    assert measures["request_latency"]["min"] >= TTFT + 10 * ITL
    timed = ("time_to_first_token", "inter_token_latency", "time_per_output_token")
    assert [measures[name]["count"] for name in timed] == [0, 0, 0]
    assert [row["tokens"] for row in sim.log()] == [22] * 6
    assert run.report["flags"] == {}


def test_an_embedding_without_a_token_is_nothing_odd(perf: Run, sim: SimProcess) -> None:
    run = perf("--url", sim.url, "--protocol", "openai_embeddings", "--model", "m", "--prompt", "x", "-n", "2")
    assert run.report["requests"]["succeeded"] == 2
    assert run.report["flags"] == {}


@pytest.mark.parametrize(
    ("name", "answer", "odd"),
    [
        ("openai_embeddings", '{"data":[{}],"usage":{"prompt_tokens":40}}', True),  # as infinity counts
        ("openai_embeddings", '{"data":[{}],"usage":{"prompt_tokens":10}}', False),
        ("rerank", '{"results":[{}],"usage":{"prompt_tokens":47}}', True),
        ("rerank", '{"results":[{}],"usage":{"prompt_tokens":39}}', False),
    ],
)
def test_a_count_of_characters_is_said_to_be_one(perf: Run, name: str, answer: str, odd: bool, tmp_path: Path) -> None:
    texts = tmp_path / "texts.jsonl"
    said = [{"role": "user", "content": text} for text in ("one token after another", "à la carte", "at last")]
    assert sum(len(each["content"]) for each in said) == 40
    texts.write_text(json.dumps({"messages": said}) + "\n")
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\nConnection: close\r\n\r\n"
    with ScriptedServer([head.encode(), answer.encode(), CLOSE]) as server:
        run = perf(
            "--url", server.url, "--protocol", name, "--model", "m", "--dataset", str(texts),
            "--dataset-format", "jsonl_messages", "-n", "2",
        )  # fmt: skip
    assert run.code == 0, run.err
    assert run.report["flags"] == ({"usage_as_characters": 2} if odd else {})
    assert run.report["measures"]["input_tokens"]["mean"] == json.loads(answer)["usage"]["prompt_tokens"]
