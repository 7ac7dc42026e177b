"""`otel-llm perf` against real routers, in front of a simulated model that logs what it did."""

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from otel_llm.measures import Facts
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks.stored_run import read_records
from otel_llm_collector.engine_tables.exposition import find_mismatches
from otel_llm_collector.engine_tables.table import find_engine_table
from tests.engines.conftest import Run, started
from tests.engines.router import Router
from tests.load.conftest import Perf

pytestmark = pytest.mark.timeout(600)

REQUESTS, TOKENS = 24, 8
BEHIND = Behaviour(ttft_ms=60, itl_ms=8, tokens=TOKENS, slots=2, times="vllm")
PROTOCOLS = {"/generate": "sglang_generate", "/v1/chat/completions": "openai_chat"}
ROUNDING = 1e-8
ENGINE_OF = {"sglang-router": "smg", "vllm-router": "vllm_router"}


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with SimProcess(BEHIND, log=True) as server:
        yield server


@pytest.fixture(scope="module", params=ENGINE_OF)
def router(
    sim: SimProcess, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Router]:
    with router_of(request.param, sim, tmp_path_factory) as server:
        yield server


@contextmanager
def router_of(name: str, behind: SimProcess, folders: pytest.TempPathFactory) -> Iterator[Router]:
    yield from started(name, lambda data: Router(data, name, behind.url), folders)


def asked(router: Router, path: str, users: int) -> list[str]:
    return [
        *("--url", f"{router.url}{path}", "--protocol", PROTOCOLS[path], "--model", "sim", "--prompt", "hi"),
        *("-n", str(REQUESTS), "--parallel", str(users)),
    ]


def joined(done: Perf, sim: SimProcess) -> list[tuple[Facts, dict[str, Any]]]:
    """Return each request with the server's row of it, which the router's `traceparent` names."""
    rows = {row["traceparent"].split("-")[1]: row for row in sim.log() if row["traceparent"]}
    return [(fact, rows[fact.record.trace_id or ""]) for fact in Facts.of(*read_records(done.run_file))]


def test_what_it_takes_of_a_first_token_is_network_and_proxies(run: Run, router: Router, sim: SimProcess) -> None:
    done = run(*asked(router, "/generate", users=3))
    assert done.code == 0, done.err
    split = done.report["first_token"]
    assert split["sources"] == {"sglang": REQUESTS}
    assert split["told"] == {
        "outside": REQUESTS,
        "queue": REQUESTS,
        "load": 0,
        "prefill": REQUESTS,
        "unexplained": REQUESTS,
    }
    outside = []
    for fact, row in joined(done, sim):
        parts = fact.first_token_split
        assert parts is not None
        assert parts.outside is not None
        assert parts.queue == pytest.approx((row["start"] - row["recv"]) / 1e9, abs=ROUNDING)
        assert parts.prefill == pytest.approx((row["first_token"] - row["start"]) / 1e9, abs=ROUNDING)
        assert parts.outside == pytest.approx(parts.whole - (row["first_token"] - row["recv"]) / 1e9, abs=ROUNDING)
        assert parts.unexplained == pytest.approx(0, abs=ROUNDING)
        outside.append(parts.outside)
    assert min(outside) > 0
    assert split["mean"]["outside"] == pytest.approx(np.mean(outside))


def test_counts_and_pace_are_the_server_s_and_its_page_is_read(run: Run, router: Router, sim: SimProcess) -> None:
    done = run(*asked(router, "/v1/chat/completions", users=3), "--server-metrics", router.metrics_url)
    assert done.code == 0, done.err
    rows = [row for _, row in joined(done, sim)]
    measures = done.report["measures"]
    assert (measures["output_tokens"]["count"], measures["output_tokens"]["mean"]) == (REQUESTS, TOKENS)
    assert measures["input_tokens"]["mean"] == np.mean([row["prompt_tokens"] for row in rows])
    assert measures["inter_token_latency"]["count"] == REQUESTS * (TOKENS - 1)
    gaps = [(row["last_token"] - row["first_token"]) / 1e9 / (TOKENS - 1) for row in rows]
    assert measures["time_per_output_token"]["p50"] == pytest.approx(np.median(gaps), rel=0.03)
    first = [(row["first_token"] - row["recv"]) / 1e9 for row in rows]
    assert 0 < measures["time_to_first_token"]["mean"] - np.mean(first) < np.mean(first) / 4

    (source,) = done.report["server"]["sources"]
    assert (source["engine"], source["vantage"], source["failed"]) == (ENGINE_OF[router.name], "gateway", 0)
    counts = {row["what"]: (row["server"], row["client"], row["verdict"]) for row in done.report["server"]["accounts"]}
    assert counts == {
        "requests": (REQUESTS, REQUESTS, "same"),
        "answered well": (REQUESTS, REQUESTS, "same"),
        "failed": (0, 0, "same"),
    }
    with urllib.request.urlopen(router.metrics_url) as page:
        text = page.read().decode()
    assert find_mismatches(find_engine_table(ENGINE_OF[router.name]), text) == []


@pytest.mark.parametrize("name", ENGINE_OF)
def test_requests_that_fail_behind_it_have_failed_once_each(
    name: str, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It tries each of them five times, and counts nothing of that as an error of a request."""
    with SimProcess(replace(BEHIND, fault="503")) as broken, router_of(name, broken, tmp_path_factory) as router:
        asking = asked(router, "/v1/chat/completions", users=1)
        done = run(*asking, "-n", "3", "--server-metrics", router.metrics_url)
    assert done.code == 1
    assert done.report["requests"]["errors"] == {"503": 3}
    counts = {row["what"]: (row["server"], row["client"], row["verdict"]) for row in done.report["server"]["accounts"]}
    assert counts == {"requests": (3, 3, "same"), "answered well": (0, 0, "same"), "failed": (3, 3, "same")}


def test_sglang_s_keeps_first_tokens_until_the_head_is_acknowledged(
    run: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The head of an answer goes out at once, and what follows waits for its acknowledgement, which Linux delays."""

    def outside(*more: str) -> float:
        done = run(*asked(router, "/generate", users=1), *more)
        assert done.code == 0, done.err
        return float(np.median([fact.first_token_split.outside for fact, _ in joined(done, soon)]))

    with (
        SimProcess(replace(BEHIND, ttft_ms=5), log=True) as soon,
        router_of("sglang-router", soon, tmp_path_factory) as router,
    ):
        kept, new = outside(), outside("--new-connection")
    assert kept > 3 * new
