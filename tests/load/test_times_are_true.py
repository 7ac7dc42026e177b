"""Of each way that answers come, the first token and the gaps are within 3 % of the server's log."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from benchmarks.protocols import owed, ways
from otel_llm.load import run
from otel_llm.sim import Behaviour, SimProcess

WAYS = {
    "SSE": ("openai_chat", "http"),
    "lines": ("ollama_chat", "http"),
    "AWS's event stream": ("bedrock_converse", "http"),
    "WebSocket": ("openai_responses", "ws"),
    "gRPC": ("vllm_grpc", "grpc"),
}
"""A protocol of each framing: those of one differ in what an event means, not in when it comes."""
TOKENS, WITHIN = 7, 0.03


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with SimProcess(Behaviour(ttft_ms=500, itl_ms=60, tokens=TOKENS), log=True, grpc=True) as server:
        yield server


@pytest.mark.parametrize("way", WAYS)
def test_the_median_is_within_three_percent_of_what_the_server_sent(sim: SimProcess, way: str, tmp_path: Path) -> None:
    name, scheme = WAYS[way]
    url = next(url for each, url in ways(sim.url, sim.grpc_url) if each == name and url.startswith(scheme))
    errors = {}
    for number in range(3):  # a machine that is busy for a moment is no error of ours
        sim.reset()
        measures = run(
            url=url, protocol=name, model="m", prompt="hi", number=12, parallel=4, name=str(tmp_path / f"{number}.db"),
            **owed(name),
        ).report["measures"]  # fmt: skip
        rows = sim.log()
        sent = {
            "time_to_first_token": median(row["first_token"] - row["recv"] for row in rows) / 1e9,
            "inter_token_latency": median((row["last_token"] - row["first_token"]) / (TOKENS - 1) for row in rows)
            / 1e9,
        }
        errors = {what: measures[what]["p50"] / true - 1 for what, true in sent.items()}
        if all(abs(error) <= WITHIN for error in errors.values()):
            return
    pytest.fail(f"expected medians within {WITHIN:.0%}, got {errors}")
