"""`otel-llm perf` against a real SGLang: its times of each request, and its metrics in the same seconds."""

from typing import Any

import pytest

from otel_llm.sinks.stored_run import read_records
from tests.engines.conftest import Run
from tests.engines.sglang import SLOTS, SGLang
from tests.load.conftest import Perf

pytestmark = pytest.mark.timeout(1200)

REQUESTS, TOKENS, USERS = 18, 8, 3 * SLOTS


def asked(sglang: SGLang, path: str, *more: str) -> list[str]:
    own = path == "/generate"
    return [
        *("--url", f"{sglang.url}{path}", "--protocol", "sglang_generate" if own else "openai_chat"),
        *("--model", sglang.model, "--prompt", "one token after another", "--server-metrics", "auto"),
        *("-n", str(REQUESTS), "--parallel", str(USERS)),
        *("--parameters", f"max_{'new_' * own}tokens={TOKENS}", "ignore_eos=true", "temperature=0", *more),
    ]


def accounts(done: Perf) -> dict[str, dict[str, Any]]:
    assert done.code == 0, done.err
    rows = {row["what"]: row for row in done.report["server"]["accounts"]}
    for what in ("requests", "answered well", "failed", "input tokens", "output tokens"):
        assert rows[what]["verdict"] == "same", rows[what]
    assert rows["output tokens"]["server"] == REQUESTS * TOKENS
    gaps = rows["inter-token latency"]
    assert gaps["counts"] == [REQUESTS * (TOKENS - 1)] * 2
    assert gaps["client"] == pytest.approx(gaps["server"], rel=0.25)
    return rows


def test_every_part_of_a_first_token_is_told_and_its_histograms_hold_the_same(run: Run, sglang: SGLang) -> None:
    done = run(*asked(sglang, "/generate"))
    first = accounts(done)["time to first token"]
    split = done.report["first_token"]
    assert split["sources"] == {"sglang": REQUESTS}
    assert {part for part, told in split["told"].items() if told == REQUESTS} == set(split["told"]) - {"load"}
    mean, histograms = split["mean"], done.report["server"]["histograms"]
    assert mean["queue"] > mean["prefill"], "three users wait for each slot"
    assert histograms["server_queue_duration"]["mean"] == pytest.approx(mean["queue"], rel=1e-6)
    assert histograms["server_prefill_duration"]["mean"] == pytest.approx(mean["prefill"], rel=1e-3)
    assert first["server"] == pytest.approx(mean["whole"] - mean["outside"], rel=1e-6)
    assert first["client"] - first["server"] == pytest.approx(mean["outside"], rel=1e-6)
    assert 0 < mean["unexplained"] < mean["whole"] / 3, "its front end, and the tokenizer's"
    cached = sum(record.cached_tokens or 0 for record in read_records(done.run_file))
    assert done.report["server"]["prefix_cache"]["hits"] == cached > 0


def test_openai_s_protocol_has_the_same_counts_and_none_of_its_times(run: Run, sglang: SGLang) -> None:
    done = run(*asked(sglang, "/v1/chat/completions"))
    first = accounts(done)["time to first token"]
    assert done.report["first_token"] is None
    assert first["counts"] == [REQUESTS, REQUESTS]
    assert first["server"] < first["client"]
