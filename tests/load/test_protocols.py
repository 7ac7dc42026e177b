"""`otel-llm perf` in every protocol, against the simulated server: what it counts and when, next to what was sent."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otel_llm.sim import Behaviour, SimProcess
from otel_llm.wire.discovery import load_protocol, protocols
from tests.load.conftest import Perf

Run = Callable[..., Perf]
STREAMED = [
    name
    for name in protocols()
    if load_protocol(name).streams
    and "http" in load_protocol(name).carriers  # see test_grpc.py, test_websocket.py
    and load_protocol(name).keeps  # see test_speech.py, test_images.py
    and not load_protocol(name).needs  # see test_transcription.py
]
TTFT, ITL = 0.060, 0.006


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with SimProcess(Behaviour(ttft_ms=TTFT * 1e3, itl_ms=ITL * 1e3, tokens=11, role_ms=0), log=True) as server:
        yield server


@pytest.mark.parametrize("name", STREAMED)
def test_a_base_url_and_a_name_are_enough_to_measure(perf: Run, sim: SimProcess, name: str) -> None:
    """Counts are exact. The first token is not what opens the stream at 0 ms, nor is it earlier than it was sent."""
    sim.reset()
    ids = ["--parameters", "input_ids=[1,2]"] if "prompt" in load_protocol(name).as_ids else []
    asked = ["--url", sim.url, "--protocol", name, "--model", "m", "--prompt", "hi", *ids]
    run = perf(*asked, "-n", "6", "--parallel", "3")
    assert run.code == 0, run.err
    report, rows = run.report, sim.log()
    measures = report["measures"]
    assert report["requests"]["succeeded"] == len(rows) == 6
    assert measures["time_to_first_token"]["count"] == 6
    assert measures["inter_token_latency"]["count"] == 6 * 10
    if name != "triton_generate":  # which states no counts: its tokens are its events
        assert measures["output_tokens"]["mean"] == 11
    first = sum(row["first_token"] - row["recv"] for row in rows) / 6e9
    ttft, gap, latency = (
        measures[what]["mean"] for what in ("time_to_first_token", "inter_token_latency", "request_latency")
    )
    assert first <= ttft <= ttft + 10 * gap <= latency + 1e-9  # what adding up loses


@pytest.mark.parametrize("name", ["bedrock_converse", "gemini", "tgi_generate", "triton_generate"])
def test_a_whole_answer_is_asked_for_where_the_protocol_has_it(perf: Run, sim: SimProcess, name: str) -> None:
    sim.reset()
    run = perf("--url", sim.url, "--protocol", name, "--model", "m", "--prompt", "hi", "--no-stream")
    assert run.code == 0, run.err
    assert run.report["measures"]["time_to_first_token"]["count"] == 0
    assert not sim.log()[0]["path"].endswith(("stream", "streamGenerateContent"))


@pytest.mark.parametrize("name", [name for name in protocols() if not load_protocol(name).streams])
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


def test_an_embedding_without_a_token_is_nothing_odd(perf: Run, sim: SimProcess) -> None:
    run = perf("--url", sim.url, "--protocol", "openai_embeddings", "--model", "m", "--prompt", "x", "-n", "2")
    assert run.report["requests"]["succeeded"] == 2
    assert run.report["flags"] == {}
