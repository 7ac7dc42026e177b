"""`--server-metrics`: what a server says of itself in the same seconds, and its account held against the client's."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from otel_llm.sim import Behaviour, SimProcess
from otel_llm.testing import ScriptedServer
from tests.load.conftest import Perf
from tests.load.conftest import perf as perf  # a fixture
from tests.server.router import EVERY, Router

Run = Callable[..., Perf]

MODEL = Behaviour(ttft_ms=20, itl_ms=2, tokens=6, slots=2, times="vllm", engine="vllm")
PATH = "/v1/chat/completions"
ASK = ("--model", "m", "--prompt", "hello")
DCGM = b"""\
# TYPE DCGM_FI_DEV_POWER_USAGE gauge
DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-1",modelName="H100"} 250.5
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-1",modelName="H100"} 80
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-1",modelName="H100"} 2048
"""


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with SimProcess(MODEL, log=True) as server:
        yield server


@pytest.fixture
def run(perf: Any) -> Run:
    """Return what runs the command, and waits for it on a busy machine too."""
    return lambda *arguments: perf.start(*arguments).wait(timeout_s=300)


def page(body: bytes) -> list[Any]:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    return [head + body]


def accounts(server: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["what"]: row for row in server["accounts"]}


def test_both_accounts_of_a_run_are_the_same(run: Run, sim: SimProcess) -> None:
    with ScriptedServer(page(DCGM)) as gpus:
        done = run(
            *("--url", sim.url + PATH, *ASK, "-n", "30", "--parallel", "4"),
            *("--server-metrics", "auto", f"{gpus.url}/metrics", "http://127.0.0.1:9/metrics"),
        )
    assert done.code == 0
    server = done.report["server"]
    vllm, dcgm, nobody = server["sources"]
    assert (vllm["engine"], vllm["url"], vllm["failed"]) == ("vllm", f"{sim.url}/metrics", 0)
    assert vllm["looks"] >= 2
    assert (dcgm["engine"], dcgm["failed"]) == (None, 0)
    assert nobody["failed"] == nobody["looks"]
    assert "refused" in nobody["error"]
    assert server["counted"] == [vllm["url"]]

    assert server["complete"]
    assert (server["requests"], server["failed"], server["reasons"]) == (30, {}, {"stop": 30})
    rows = accounts(server)
    for what in ("requests", "answered well", "failed", "input tokens", "output tokens"):
        assert rows[what]["verdict"] == "same", rows[what]
    assert rows["output tokens"]["client"] == rows["output tokens"]["server"] == 180
    first, gaps = rows["time to first token"], rows["inter-token latency"]
    assert first["counts"] == [30, 30]
    assert gaps["counts"] == [150, 150]
    log = [row for row in sim.log() if row["traceparent"]]
    assert first["server"] == pytest.approx(sum(row["first_token"] - row["recv"] for row in log) / 30e9)
    assert first["client"] == pytest.approx(done.report["measures"]["time_to_first_token"]["mean"])
    assert "on the way, in front of the server, and here" in first["why"]

    gpu = server["gpu"]
    assert gpu["count"] == 1
    assert gpu["utilization"]["mean"] == pytest.approx(0.8)
    assert gpu["memory"]["max"] == 2048 * 2**20
    assert gpu["power"] == {"mean": 250.5, "max": 250.5}
    assert gpu["energy_per_output_token"] == pytest.approx(gpu["energy"] / 180)

    for shown in ("vLLM at", "no page of metrics at http://127.0.0.1:9/metrics", "answered well", "J for each output"):
        assert shown in done.out
    stored = sqlite3.connect(done.run_file).execute("SELECT engine, error, scrape FROM server_scrape").fetchall()
    assert len(stored) == sum(source["looks"] for source in server["sources"])
    assert {engine for engine, _, _ in stored} == {"vllm", None}
    assert all(json.loads(scrape)["at_ns"] for _, _, scrape in stored)


CLEAN = "the same"
HABITS: list[tuple[Any, tuple[str, ...], dict[str, tuple[str, str]]]] = [
    ("duplicates", (), {
        "requests": ("flagged", "each request came 2 times: somebody between repeats them"),
        "output tokens": ("flagged", "with those of the requests that are not this client's"),
    }),
    ("retries", ("--headers", "x-sim=fault=500,fault_rate=0.4"), {
        "requests": ("explained", "failed there and were answered here: somebody between sent them again"),
        "failed": ("flagged", "failed there and not here: hidden by somebody between, or another's"),
    }),
    ("drops", ("--new-connection",), {
        "requests": ("explained", "broke off"),
        "failed": ("explained", "failed here alone: disconnect"),
        "output tokens": ("same", ""),
    }),
]  # fmt: skip


@pytest.mark.parametrize(("habit", "options", "expected"), HABITS, ids=[habit for habit, _, _ in HABITS])
def test_what_a_router_does_is_found_and_named(
    run: Run, sim: SimProcess, habit: Any, options: tuple[str, ...], expected: dict[str, tuple[str, str]]
) -> None:
    with Router(sim.url, habit) as router:
        url = ("--url", router.url + PATH, "--server-metrics", sim.url)
        done = run(*url, *ASK, "-n", "16", "--parallel", "2", *options)
    server = done.report["server"]
    rows = accounts(server)
    for what, (verdict, why) in expected.items():
        assert (rows[what]["verdict"], why in rows[what]["why"]) == (verdict, True), rows[what]
    failed = done.report["requests"]["failed"]
    assert failed == (16 // EVERY if habit == "drops" else 0)
    if habit == "retries":
        assert server["requests"] - 16 == server["failed"]["5xx"] > 0
    if habit == "duplicates":
        assert server["requests"] == 32


def test_who_is_not_waited_for_is_named(run: Run, sim: SimProcess) -> None:
    url = f"{sim.url}/x/itl_ms=200{PATH}"
    done = run("--url", url, *ASK, "-n", "8", "--cancel", "100%:100ms", "--server-metrics", "auto")
    row = accounts(done.report["server"])["requests"]
    assert (row["server"], row["client"], row["verdict"]) == (0, 8, "explained")
    assert row["why"] == "8 were not waited for here, and such are in no count of the server"


def test_a_url_that_is_none_is_told_before_the_run(run: Run) -> None:
    done = run(*ASK, "-n", "1", "--server-metrics", "ftp://user:secret@host")
    assert done.code == 2
    assert "expected --server-metrics of http:// or https://" in done.err
    assert "secret" not in done.err
