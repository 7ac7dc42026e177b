"""`otel-llm perf` in every protocol, against the simulated server: what it counts and when, next to what was sent."""

from collections.abc import Callable, Iterator

import pytest

from otel_llm.sim import Behaviour, SimServer
from otel_llm.wire.discovery import protocols
from tests.load.conftest import Perf

Run = Callable[..., Perf]
TTFT, ITL = 0.060, 0.006


@pytest.fixture(scope="module")
def sim() -> Iterator[SimServer]:
    with SimServer(Behaviour(ttft_ms=TTFT * 1e3, itl_ms=ITL * 1e3, tokens=11)) as server:
        yield server


@pytest.mark.parametrize("name", sorted(protocols()))
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
