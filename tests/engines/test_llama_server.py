"""`otel-llm perf` against a real llama-server: its times of each request, and its metrics in the same seconds."""

from statistics import fmean

import pytest

from otel_llm.sinks.stored_run import read_records
from tests.engines.conftest import Run
from tests.engines.llama_server import SLOTS, LlamaServer

pytestmark = pytest.mark.timeout(1200)

REQUESTS, TOKENS = 24, 24
LENGTHS = {"/v1/chat/completions": "max_tokens", "/v1/completions": "max_tokens", "/completion": "n_predict"}


def asked(server: LlamaServer, path: str, users: int) -> list[str]:
    return [
        *("--url", f"{server.url}{path}", "--model", server.model, "--prompt", "one token after another"),
        *("-n", str(REQUESTS), "--parallel", str(users), "--server-metrics", "auto"),
        *("--parameters", f"{LENGTHS[path]}={TOKENS}", "ignore_eos=true", "temperature=0"),
    ]


@pytest.mark.parametrize("path", LENGTHS)
def test_the_queue_is_in_what_is_unexplained_and_both_accounts_are_the_same(
    path: str, run: Run, llama_server: LlamaServer
) -> None:
    done = run(*asked(llama_server, path, users=3 * SLOTS))
    assert done.code == 0, done.err
    split = done.report["first_token"]
    assert split["sources"] == {"llama.cpp": REQUESTS}
    assert split["told"] == {"outside": 0, "queue": 0, "load": 0, "prefill": REQUESTS, "unexplained": REQUESTS}
    mean = split["mean"]
    assert mean["prefill"] + mean["unexplained"] == pytest.approx(mean["whole"])
    assert mean["unexplained"] > mean["prefill"], "three users wait for each slot"
    assert "nobody tells network and proxies and queue" in done.out
    assert done.report["server"]["running"]["max"] == SLOTS
    assert done.report["server"]["waiting"]["max"] > 0
    rows = {row["what"]: row for row in done.report["server"]["accounts"]}
    assert {what: row["verdict"] for what, row in rows.items()} == {"input tokens": "same", "output tokens": "same"}
    assert rows["output tokens"]["server"] == REQUESTS * TOKENS
    cached = sum(record.cached_tokens or 0 for record in read_records(done.run_file))
    assert done.report["server"]["prefix_cache"]["hits"] == cached > 0


def test_with_one_user_its_times_are_the_client_s(run: Run, llama_server: LlamaServer) -> None:
    long = " ".join(["one token after another"] * 12)
    where = asked(llama_server, "/completion", users=1)
    done = run(*where, "--cache-bust", "--prompt", long)
    mean = done.report["first_token"]["mean"]
    assert mean["prefill"] > mean["unexplained"] > 0
    decode = [record.server.decode for record in read_records(done.run_file) if record.server]
    here = done.report["measures"]["time_per_output_token"]["mean"] * (TOKENS - 1)
    assert fmean(each for each in decode if each is not None) == pytest.approx(here, rel=0.25)
