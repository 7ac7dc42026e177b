"""`otel-llm perf` against a real infinity: embeddings and reranking, counted in characters and in tokens."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.conftest import Run, started
from tests.engines.infinity import COUNTS, Infinity

pytestmark = pytest.mark.timeout(1200)

REQUESTS = 6
TEXTS = ("one token after another", "another document", "the last")
COUNTED = {
    # special tokens are not among infinity's; a query is counted again with each document, with no space between
    ("embeddings", "characters"): 23 + 16 + 8,
    ("embeddings", "tokens"): 4 + 2 + 2,
    ("rerank", "characters"): 23 + 16 + 2 * 8,
    ("rerank", "tokens"): 5 + 3,
}


@pytest.fixture(scope="module")
def infinity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Infinity]:
    yield from started("infinity", Infinity, tmp_path_factory)


def answered(infinity: Infinity, path: str) -> float:
    """Return how many requests at a path the server says that it answered well."""
    with urllib.request.urlopen(f"{infinity.url}/metrics", timeout=60) as page:
        lines = page.read().decode().splitlines()
    start = f'http_requests_total{{handler="{path}",method="POST",status="2xx"}} '
    return sum(float(line.removeprefix(start)) for line in lines if line.startswith(start))


@pytest.mark.parametrize("counted", COUNTS)
@pytest.mark.parametrize("path", ["embeddings", "rerank"])
def test_its_requests_are_as_many_and_what_it_counts_is_said(
    path: str, counted: str, run: Run, infinity: Infinity, tmp_path: Path
) -> None:
    batches = tmp_path / "batches.jsonl"
    batches.write_text(json.dumps({"messages": [{"role": "user", "content": text} for text in TEXTS]}) + "\n")
    before = answered(infinity, f"/{path}")
    done = run(
        *("--url", f"{infinity.url}/{path}", "--model", f"{infinity.KINDS[path]}.{counted}"),
        *("--dataset", str(batches), "--dataset-format", "jsonl_messages"),
        *("-n", str(REQUESTS), "--parallel", "2", "--server-metrics", "auto"),
    )
    assert done.code == 0, done.err
    assert answered(infinity, f"/{path}") - before == REQUESTS
    measures = done.report["measures"]
    assert [measures[name]["count"] for name in ("request_latency", "input_tokens", "time_to_first_token")] == [
        REQUESTS,
        REQUESTS,
        0,
    ]
    assert measures["input_tokens"]["min"] == measures["input_tokens"]["max"] == COUNTED[path, counted]
    assert done.report["flags"] == ({"usage_as_characters": REQUESTS} if counted == "characters" else {})
    engines = [source["engine"] for source in done.report["server"]["sources"]]
    assert engines == [None], "expected its page to be none of those that there is a table of"


def test_a_model_that_it_does_not_have_is_said_in_its_words(run: Run, infinity: Infinity) -> None:
    done = run("--url", f"{infinity.url}/embeddings", "--model", "another", "--prompt", "x", "-n", "2")
    assert done.report["requests"]["errors"] == {"400": 2}
    assert "Engine for model name `another` not found" in done.out


def test_a_refusal_that_repeats_the_texts_is_quoted_without_them(run: Run, infinity: Infinity) -> None:
    texts = json.dumps([["a text of the user's"] * 200])
    done = run(
        *("--url", f"{infinity.url}/embeddings", "--model", "embedder.tokens", "--prompt", "x", "-n", "2"),
        *("--parameters", f"input={texts}"),
    )
    assert done.report["requests"]["errors"] == {"422": 2}
    assert "body.text.input" in json.dumps(done.report)
    assert "user's" not in json.dumps(done.report["requests"])
