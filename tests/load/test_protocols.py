"""`otel-llm perf` in every protocol, against the simulated server: what it counts and when, next to what was sent."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otel_llm.sim import Behaviour, SimServer
from otel_llm.wire.discovery import load_protocol, protocols
from tests.load.conftest import Perf

Run = Callable[..., Perf]
TTFT, ITL = 0.060, 0.006


@pytest.fixture(scope="module")
def sim() -> Iterator[SimServer]:
    with SimServer(Behaviour(ttft_ms=TTFT * 1e3, itl_ms=ITL * 1e3, tokens=11)) as server:
        yield server


@pytest.mark.parametrize("name", [name for name in protocols() if load_protocol(name).streams])
def test_a_base_url_and_a_name_are_enough_to_measure(perf: Run, sim: SimServer, name: str) -> None:
    """Counts are exact. Means are within a tenth of the server's own log, which shares this busy process."""
    missed: list[tuple[str, float, float]] = []
    for _ in range(3):
        sim.reset()
        run = perf("--url", sim.url, "--protocol", name, "--model", "m", "--prompt", "hi", "-n", "6", "--parallel", "3")
        assert run.code == 0, run.err
        report, rows = run.report, sim.log
        measures = report["measures"]
        assert report["requests"]["succeeded"] == len(rows) == 6
        assert measures["time_to_first_token"]["count"] == 6
        assert measures["inter_token_latency"]["count"] == 6 * 10
        if name != "triton_generate":  # which states no counts: its tokens are its events
            assert measures["output_tokens"]["mean"] == 11
        true_ttft = sum(row["first_token"] - row["recv"] for row in rows) / 6e9
        true_itl = sum(row["last_token"] - row["first_token"] for row in rows) / 60e9
        missed = [
            (what, measures[what]["mean"], true)
            for what, true in (("time_to_first_token", true_ttft), ("inter_token_latency", true_itl))
            if abs(measures[what]["mean"] - true) > 0.1 * true
        ]
        if not missed:
            return
    pytest.fail(f"expected means within a tenth of the server's log, got {missed}")


@pytest.mark.parametrize("name", ["gemini", "tgi_generate", "triton_generate"])
def test_a_whole_answer_is_asked_for_where_the_protocol_has_it(perf: Run, sim: SimServer, name: str) -> None:
    sim.reset()
    run = perf("--url", sim.url, "--protocol", name, "--model", "m", "--prompt", "hi", "--no-stream")
    assert run.code == 0, run.err
    assert run.report["measures"]["time_to_first_token"]["count"] == 0
    assert not sim.log[0]["path"].endswith(("stream", "streamGenerateContent"))


@pytest.mark.parametrize("name", [name for name in protocols() if not load_protocol(name).streams])
def test_what_makes_no_token_has_a_latency_and_no_first_token(
    perf: Run, sim: SimServer, name: str, tmp_path: Path
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
    assert all(row["tokens"] == 0 for row in sim.log)
