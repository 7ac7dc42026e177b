"""`otel-llm perf` against a real vLLM: its times of each request, and its metrics in the same seconds."""

import json
from pathlib import Path

import pytest

from tests.engines.conftest import Run
from tests.engines.vllm import SLOTS, VLLM

pytestmark = pytest.mark.timeout(1200)

REQUESTS, TOKENS, USERS = 12, 8, 3 * SLOTS


def asked(vllm: VLLM, path: str) -> list[str]:
    return [
        *("--url", f"{vllm.url}{path}", "--model", vllm.model, "--prompt", "one token after another"),
        *("-n", str(REQUESTS), "--parallel", str(USERS), "--server-metrics", "auto"),
        *("--parameters", f"max_tokens={TOKENS}", "ignore_eos=true", "temperature=0"),
    ]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_the_parts_add_up_to_the_first_token_and_both_accounts_are_the_same(path: str, run: Run, vllm: VLLM) -> None:
    done = run(*asked(vllm, path))
    assert done.code == 0, done.err
    split = done.report["first_token"]
    assert split["sources"] == {"vllm": REQUESTS}
    assert split["told"]["queue"] == split["told"]["prefill"] == REQUESTS
    mean = split["mean"]
    assert mean["queue"] > mean["prefill"], "three users wait for each slot"
    assert mean["queue"] + mean["prefill"] + mean["unexplained"] == pytest.approx(mean["whole"])
    rows = {row["what"]: row for row in done.report["server"]["accounts"]}
    for what in ("requests", "answered well", "failed", "input tokens", "output tokens"):
        assert rows[what]["verdict"] == "same", rows[what]
    assert rows["output tokens"]["server"] == REQUESTS * TOKENS
    first = rows["time to first token"]
    assert first["counts"] == [REQUESTS, REQUESTS]
    assert mean["queue"] + mean["prefill"] <= first["server"] < first["client"]
    assert mean["unexplained"] < 0.2 * mean["whole"]


def test_token_ids_go_in_and_come_out(run: Run, vllm: VLLM) -> None:
    where = ["--url", f"{vllm.url}/inference/v1/generate", "--model", vllm.model, "--prompt", "x"]
    limits = ["input_ids=[5,6,7]", f"max_tokens={TOKENS}", "ignore_eos=true", "temperature=0"]
    done = run(
        *where, "-n", str(REQUESTS), "--parallel", str(USERS), "--server-metrics", "auto", "--parameters", *limits
    )
    assert done.code == 0, done.err
    measures = done.report["measures"]
    assert measures["inter_token_latency"]["count"] == REQUESTS * (TOKENS - 1)
    assert (measures["input_tokens"]["mean"], measures["output_tokens"]["mean"]) == (3, TOKENS)
    rows = {row["what"]: row for row in done.report["server"]["accounts"]}
    assert all(rows[what]["verdict"] == "same" for what in ("requests", "input tokens", "output tokens"))


def test_many_conversations_of_one_request_have_an_answer_each(run: Run, vllm: VLLM, tmp_path: Path) -> None:
    batches = tmp_path / "batches.jsonl"
    texts = ("one token after another", "and another", "and the last")
    batches.write_text(json.dumps({"messages": [{"role": "user", "content": text} for text in texts]}) + "\n")
    done = run(
        *("--url", f"{vllm.url}/v1/chat/completions/batch", "--model", vllm.model, "--dataset", str(batches)),
        *("--dataset-format", "jsonl_messages", "-n", "4", "--parallel", "2"),
        *("--parameters", f"max_tokens={TOKENS}", "ignore_eos=true", "temperature=0"),
    )
    assert done.code == 0, done.err
    measures = done.report["measures"]
    assert (measures["output_tokens"]["count"], measures["output_tokens"]["mean"]) == (4, len(texts) * TOKENS)
    assert measures["request_latency"]["count"] == 4
    assert measures["time_to_first_token"]["count"] == 0
