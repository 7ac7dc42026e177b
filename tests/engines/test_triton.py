"""`otel-llm perf` against a real Triton: what it counts, and what it does not."""

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from otel_llm.sim import Behaviour, SimProcess
from otel_llm_collector.engine_tables.reading import read_page
from otel_llm_collector.engine_tables.table import find_engine_table
from tests.engines.conftest import Run
from tests.engines.triton import GAP_S, Triton
from tools.engines import TRITON

pytestmark = pytest.mark.timeout(900)

REQUESTS, TOKENS = 12, 8


def asked(triton: Triton, path: str, *more: str) -> list[str]:
    by_http = path.startswith("/")
    url = f"{triton.url}{path}" if by_http else f"grpc://{triton.grpc_address}"
    protocol = () if by_http else ("--protocol", "kserve_grpc")
    shared = ("--model", triton.model, "--prompt", "hi", "-n", str(REQUESTS), "--server-metrics", triton.metrics_url)
    return ["--url", url, *protocol, *shared, "--parameters", f"max_tokens={TOKENS}", *more]


def accounts(report: dict[str, Any]) -> dict[str, tuple[float, float, str]]:
    return {row["what"]: (row["server"], row["client"], row["verdict"]) for row in report["server"]["accounts"]}


@pytest.mark.parametrize("path", ["grpc", "/v2/models/paced/generate_stream"])
def test_streams_have_the_pace_of_their_model_and_both_accounts_are_the_same(
    path: str, run: Run, triton: Triton
) -> None:
    done = run(*asked(triton, path))
    assert done.code == 0, done.err
    gaps = done.report["measures"]["inter_token_latency"]
    assert gaps["count"] == REQUESTS * (TOKENS - 1)
    assert gaps["mean"] >= GAP_S * 0.7, "a first token that is late is followed sooner"
    assert accounts(done.report)["answered well"] == (REQUESTS, REQUESTS, "same")


def test_a_stream_that_fails_is_a_success_to_triton(run: Run, triton: Triton) -> None:
    done = run(*asked(triton, "grpc", "fail_at=3"))
    assert done.code == 1
    assert done.report["requests"]["failed"] == REQUESTS
    assert accounts(done.report) == {
        "requests": (REQUESTS, REQUESTS, "same"),
        "answered well": (REQUESTS, 0, "explained"),
        "failed": (0, REQUESTS, "explained"),
    }
    (row,) = (row for row in done.report["server"]["accounts"] if row["what"] == "answered well")
    assert row["why"] == f"{REQUESTS} did not end well here, and count as answered there"


def test_its_duration_is_without_the_stream(run: Run, triton: Triton) -> None:
    def told() -> tuple[float, float]:
        with urllib.request.urlopen(triton.metrics_url) as page:
            found = read_page(page.read().decode(), find_engine_table("triton")).counters
        return found["server_requests"], found["server_request_time"]

    before = told()
    done = run(*asked(triton, "grpc"))
    requests, seconds = (now - then for now, then in zip(told(), before, strict=True))
    assert requests == REQUESTS
    assert seconds / requests < done.report["measures"]["request_latency"]["p50"] / 2


def heard_by_its_client(address: str, model: str) -> Any:
    script = Path(__file__).with_name("triton_client.py")
    done = subprocess.run(
        [TRITON.python, str(script), address, model, str(TOKENS)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_its_client_finds_it_ready_and_reads_its_stream_and_those_of_the_simulated_server(triton: Triton) -> None:
    with SimProcess(Behaviour(text="t "), grpc=True) as sim:
        simulated = heard_by_its_client(sim.grpc_url.removeprefix("grpc://"), "m")
    assert simulated == {"ready": [True] * 3, "texts": ["t "] * TOKENS}
    real = heard_by_its_client(triton.grpc_address, triton.model)
    assert real == {"ready": [True] * 3, "texts": [f"t{number} " for number in range(TOKENS)]}
