"""Where a first token's time went, as a run tells it, against what the simulated server really did in the same run."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from otel_llm.conventions import REQUEST_INDEX, SERVER_SAID
from otel_llm.first_token_split import FirstTokenSplit
from otel_llm.measures import Facts
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks.stored_run import read_records
from otel_llm.testing import OtlpReceiver
from tests.load.conftest import Perf
from tests.load.conftest import perf as perf  # a fixture
from tests.server.delaying_proxy import DelayingProxy

Run = Callable[..., Perf]


@pytest.fixture
def run(perf: Any) -> Run:
    """Return what runs the command, and waits for it on a busy machine too."""
    return lambda *arguments: perf.start(*arguments).wait(timeout_s=300)


ROUNDING = 1e-8
NETWORK_S = 0.015
MODEL = Behaviour(ttft_ms=40, itl_ms=3, tokens=8, slots=1, times="vllm")
ASK = ("--model", "m", "--prompt", "hello", "-n", "24", "--parallel", "3")


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with SimProcess(MODEL, log=True) as server:
        yield server


def truths(done: Perf, sim: SimProcess) -> list[tuple[Facts, FirstTokenSplit, dict[str, Any]]]:
    """Return each request with its split and the server's row of it."""
    rows = {row["traceparent"].split("-")[1]: row for row in sim.log() if row["traceparent"]}
    facts = Facts.of(*read_records(done.run_file))
    return [
        (fact, fact.first_token_split, rows[fact.record.trace_id or ""]) for fact in facts if fact.first_token_split
    ]


def test_parts_are_the_server_s_own_and_the_rest_is_what_it_does_not_tell(run: Run, sim: SimProcess) -> None:
    with DelayingProxy(sim.url, NETWORK_S) as far, OtlpReceiver() as back:
        done = run("--url", f"{far.url}/v1/chat/completions", *ASK, "--otlp-endpoint", back.grpc_endpoint)
        spans = {span.attributes[REQUEST_INDEX]: span.attributes for span in back.spans}
    found = truths(done, sim)
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

    first = done.report["first_token"]
    assert (first["requests"], first["sources"], first["without"]) == (24, {"vllm": 24}, 0)
    assert first["told"] == {"outside": 0, "queue": 24, "load": 0, "prefill": 24, "unexplained": 24}
    assert first["slowest"]["requests"] == 2
    for group in (first["mean"], first["slowest"]):
        assert group["whole"] == pytest.approx(sum(group[part] for part in first["told"]))
    assert first["mean"]["queue"] == pytest.approx(done.report["measures"]["server_queue"]["mean"])
    (line,) = re.findall(r"^queue +([\d.]+) ", done.out, re.MULTILINE)
    assert float(line) == pytest.approx(first["mean"]["queue"] * 1e3, rel=0.01)
    assert "nobody tells network and proxies: what is unexplained holds that" in done.out

    stored = (
        sqlite3.connect(done.run_file).execute("SELECT json_extract(record, '$.server.queue') FROM result").fetchall()
    )
    assert sorted(value for (value,) in stored) == sorted(
        fact.record.server.queue for fact, _, _ in found if fact.record.server
    )


def test_where_the_server_says_its_total_the_network_is_a_part_of_its_own(run: Run, sim: SimProcess) -> None:
    with DelayingProxy(sim.url, NETWORK_S) as far:
        done = run("--url", f"{far.url}/api/chat", *ASK)
    found = truths(done, sim)
    for fact, split, row in found:
        said = fact.record.server
        assert said is not None
        assert said.total is not None
        assert row["last_token"] - row["recv"] <= said.total * 1e9 + 1
        assert said.total * 1e9 <= row["end"] - row["recv"] + 1
        assert split.outside == pytest.approx((fact.record.ended_ns - fact.record.sent_ns) / 1e9 - said.total)
        assert split.outside >= 2 * NETWORK_S
    # the way of the first token, by the server's log: what the server says of the end gives it as the way of the end is
    ways = np.array([split.whole - (row["first_token"] - row["recv"]) / 1e9 for _, split, row in found])
    outside = np.array([split.outside for _, split, _ in found])
    assert abs(np.median(outside - ways)) <= max(0.001, 0.02 * np.median(ways), np.ptp(ways), np.ptp(outside))
    # Ollama's queue is in its total alone: it is what remains
    queues = np.array([(row["start"] - row["recv"]) / 1e9 for _, _, row in found])
    assert [split.unexplained for _, split, _ in found] == pytest.approx(queues + ways - outside, abs=ROUNDING)
    assert "network and proxies" in done.out
    assert "nobody tells queue" in done.out


def test_where_the_server_says_its_first_token_every_part_is_known_and_the_network_s_is_what_was_held_back(
    run: Run, sim: SimProcess
) -> None:
    with DelayingProxy(sim.url, NETWORK_S) as far:
        done = run("--url", far.url, "--protocol", "sglang_generate", *ASK)
    found = truths(done, sim)
    assert len(found) == 24
    more = []
    for fact, split, row in found:
        said = fact.record.server
        assert said is not None
        assert (said.source, fact.record.output_tokens, fact.record.finish_reasons) == (("sglang",), 8, ("stop",))
        assert split.queue == pytest.approx((row["start"] - row["recv"]) / 1e9, abs=ROUNDING)
        assert split.prefill == pytest.approx((row["first_token"] - row["start"]) / 1e9, abs=ROUNDING)
        assert row["last_token"] - row["first_token"] <= (said.decode or 0) * 1e9 + 1 <= row["end"] - row["first_token"]
        assert split.outside == pytest.approx(split.whole - (row["first_token"] - row["recv"]) / 1e9, abs=ROUNDING)
        assert split.unexplained == pytest.approx(0, abs=ROUNDING)
        there = next(each for each in far.log if (fact.record.trace_id or "").encode() in each.data)
        back = next(
            each for each in far.log
            if each.link == there.link and not each.there and each.read >= row["first_token"]
        )  # fmt: skip
        assert fact.record.sent_ns <= there.read
        assert back.written <= fact.record.sent_ns + round(split.whole * 1e9)
        held = (there.written - there.read + back.written - back.read) / 1e9
        assert 2 * NETWORK_S <= held <= split.outside
        more.append(split.outside / held - 1)
    assert min(more) < 0.05, "the least disturbed of them waited for hardly anything else"
    first = done.report["first_token"]
    assert first["told"] == {"outside": 24, "queue": 24, "load": 0, "prefill": 24, "unexplained": 24}
    assert "nobody tells" not in done.out


def test_a_run_whose_server_says_nothing_has_no_such_table(run: Run, sim: SimProcess) -> None:
    done = run("--url", f"{sim.url}/x/times=/v1/chat/completions", *ASK)
    assert done.report["first_token"] is None
    assert done.report["measures"]["server_queue"]["count"] == 0
    assert "unexplained" not in done.out
