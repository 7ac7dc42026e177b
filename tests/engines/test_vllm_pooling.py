"""`otel-llm perf` against a real vLLM that makes no tokens: embeddings and reranking, several texts in a request."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.conftest import Run, started
from tests.engines.vllm import VLLM

pytestmark = pytest.mark.timeout(1200)

REQUESTS = 6
TEXTS = ("one token after another", "and another", "the last")


@pytest.fixture(scope="module")
def pooling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLM]:
    yield from started("vllm", lambda data: VLLM(data, "--runner", "pooling", "--convert", "embed"), tmp_path_factory)


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/rerank"])
def test_it_counts_the_texts_and_the_same_tokens(path: str, run: Run, pooling: VLLM, tmp_path: Path) -> None:
    batches = tmp_path / "batches.jsonl"
    batches.write_text(json.dumps({"messages": [{"role": "user", "content": text} for text in TEXTS]}) + "\n")
    done = run(
        *("--url", f"{pooling.url}{path}", "--model", pooling.model, "--dataset", str(batches)),
        *("--dataset-format", "jsonl_messages", "-n", str(REQUESTS), "--parallel", "2", "--server-metrics", "auto"),
    )
    assert done.code == 0, done.err
    measures = done.report["measures"]
    assert [measures[name]["count"] for name in ("request_latency", "input_tokens", "time_to_first_token")] == [
        REQUESTS,
        REQUESTS,
        0,
    ]
    rows = {row["what"]: (row["server"], row["client"], row["verdict"]) for row in done.report["server"]["accounts"]}
    texts, tokens = REQUESTS * len(TEXTS), REQUESTS * measures["input_tokens"]["mean"]
    assert rows == {
        "requests": (texts, REQUESTS, "explained"),
        "answered well": (texts, REQUESTS, "explained"),
        "failed": (0, 0, "same"),
        "input tokens": (tokens, tokens, "same"),
    }
