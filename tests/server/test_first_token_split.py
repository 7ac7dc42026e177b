"""Where a first token's time went, as a run tells it, against what the simulated server really did in the same run."""

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from otel_llm.conventions import REQUEST_INDEX, SERVER_SAID
from otel_llm.first_token_split import FirstTokenSplit
from otel_llm.measures import Facts
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks.sqlite import read_records
from otel_llm.testing import OtlpReceiver
from tests.load.conftest import Perf
from tests.load.conftest import perf as perf  # a fixture
from tests.server.delaying_proxy import DelayingProxy

Run = Callable[..., Perf]
ROUNDING = 1e-8
NETWORK_S = 0.015
MODEL = Behaviour(ttft_ms=40, itl_ms=3, tokens=8, slots=1, times="vllm")
ASK = ("--model", "m", "--prompt", "hello", "-n", "24", "--parallel", "3")


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with SimProcess(MODEL, log=True) as server:
        yield server


def within(found: Sequence[float], true: Sequence[float], unsteady_s: float) -> None:
    """Check medians: to a millisecond, or 2 %, or what the way there and back itself differed by in this run."""
    right = float(np.median(true))
    assert abs(float(np.median(found)) - right) <= max(0.001, 0.02 * right, unsteady_s)


def truths(run: Perf, sim: SimProcess) -> list[tuple[Facts, FirstTokenSplit, dict[str, Any]]]:
    """Return each request with its split and the server's row of it."""
    rows = {row["traceparent"].split("-")[1]: row for row in sim.log() if row["traceparent"]}
    facts = Facts.of(*read_records(run.run_file))
    return [
        (fact, fact.first_token_split, rows[fact.record.trace_id or ""]) for fact in facts if fact.first_token_split
    ]


def test_parts_are_the_server_s_own_and_the_rest_is_what_it_does_not_tell(perf: Run, sim: SimProcess) -> None:
    with DelayingProxy(sim.url, NETWORK_S) as far, OtlpReceiver() as back:
        run = perf("--url", f"{far.url}/v1/chat/completions", *ASK, "--otlp-endpoint", back.grpc_endpoint)
        spans = {span.attributes[REQUEST_INDEX]: span.attributes for span in back.spans}
    found = truths(run, sim)
    assert len(found) == 24
    for fact, split, row in found:
        assert fact.record.server is not None
        assert split.outside is split.load is None
        assert split.queue == pytest.approx((row["start"] - row["recv"]) / 1e9, abs=ROUNDING)
        assert split.prefill == pytest.approx((row["first_token"] - row["start"]) / 1e9, abs=ROUNDING)
        decode = (row["last_token"] - row["first_token"]) / 1e9
        assert fact.record.server.decode == pytest.approx(decode, abs=ROUNDING)
        assert split.unexplained == pytest.approx(split.whole - split.queue - split.prefill, abs=ROUNDING)
        assert split.unexplained >= 2 * NETWORK_S
        span = spans[fact.record.index]
        assert span[SERVER_SAID["queue"]] == fact.record.server.queue
        assert span[SERVER_SAID["prefill"]] == fact.record.server.prefill
    assert max(split.queue for _, split, _ in found) > 0.04  # one slot, three at once

    first = run.report["first_token"]
    assert (first["requests"], first["sources"], first["without"]) == (24, {"vllm": 24}, 0)
    assert first["told"] == {"outside": 0, "queue": 24, "load": 0, "prefill": 24, "unexplained": 24}
    assert first["slowest"]["requests"] == 2
    for group in (first["mean"], first["slowest"]):
        assert group["whole"] == pytest.approx(sum(group[part] for part in first["told"]))
    assert first["mean"]["queue"] == pytest.approx(run.report["measures"]["server_queue"]["mean"])
    (line,) = re.findall(r"^queue +([\d.]+) ", run.out, re.MULTILINE)
    assert float(line) == pytest.approx(first["mean"]["queue"] * 1e3, rel=0.01)
    assert "nobody tells network and proxies: what is unexplained holds that" in run.out

    stored = (
        sqlite3.connect(run.run_file).execute("SELECT json_extract(record, '$.server.queue') FROM result").fetchall()
    )
    assert sorted(value for (value,) in stored) == sorted(
        fact.record.server.queue for fact, _, _ in found if fact.record.server
    )


def test_where_the_server_says_its_total_the_network_is_a_part_of_its_own(perf: Run, sim: SimProcess) -> None:
    with DelayingProxy(sim.url, NETWORK_S) as far:
        run = perf("--url", f"{far.url}/api/chat", *ASK)
    found = truths(run, sim)
    for fact, split, row in found:
        said = fact.record.server
        assert said is not None
        assert said.total is not None
        assert row["last_token"] - row["recv"] <= said.total * 1e9 + 1
        assert said.total * 1e9 <= row["end"] - row["recv"] + 1
        assert split.outside == pytest.approx((fact.record.ended_ns - fact.record.sent_ns) / 1e9 - said.total)
        assert split.outside >= 2 * NETWORK_S
    # the way of the first token, by the server's log, and that of the end
    first = [split.whole - (row["first_token"] - row["recv"]) / 1e9 for _, split, row in found]
    last = [(f.record.ended_ns - f.record.sent_ns - row["end"] + row["recv"]) / 1e9 for f, _, row in found]
    unsteady_s = float(np.median(np.abs(np.subtract(first, last))))
    within([split.outside or 0.0 for _, split, _ in found], first, unsteady_s)
    # Ollama's queue is in its total alone: it is what remains
    queues = [(row["start"] - row["recv"]) / 1e9 for _, _, row in found]
    within([split.unexplained for _, split, _ in found], queues, unsteady_s)
    assert "network and proxies" in run.out
    assert "nobody tells queue" in run.out


def test_a_run_whose_server_says_nothing_has_no_such_table(perf: Run, sim: SimProcess) -> None:
    run = perf("--url", f"{sim.url}/x/times=/v1/chat/completions", *ASK)
    assert run.report["first_token"] is None
    assert run.report["measures"]["server_queue"]["count"] == 0
    assert "unexplained" not in run.out
