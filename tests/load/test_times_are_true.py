"""Of every protocol, by each way it goes: counts are exact, and times within 3 % of what the server logged as sent."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any

import pytest

from benchmarks.protocols import owed, urls
from otel_llm.cli import main
from otel_llm.load.child.words import words_of
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.wire.discovery import load_protocol, protocols

WAYS = [(name, carrier) for name in protocols() for carrier in load_protocol(name).carriers]
WITHOUT_TOKENS = {"openai_images": "time_to_first_image", "openai_speech": "time_to_first_audio"}
"""Those that stream something else, with the measure of its first piece."""
REQUESTS, TOKENS, WITHIN, TRIES = 8, 6, 0.03, 8
"""A machine that is busy adds to some of the tries; an error of ours would be in each."""


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with SimProcess(Behaviour(ttft_ms=400, itl_ms=30, tokens=TOKENS, role_ms=0), log=True, grpc=True) as server:
        yield server


@pytest.mark.parametrize(("name", "carrier"), WAYS)
def test_counts_are_exact_and_times_within_three_percent_of_what_was_sent(
    sim: SimProcess, name: str, carrier: str, tmp_path: Path
) -> None:
    """A base URL and a name are enough. What opens a stream at once is no token."""
    least: dict[str, float] = {}
    for number in range(TRIES):
        sim.reset()
        measures, rows = measured(tmp_path / str(number), name, urls(sim)[carrier]), sim.log()
        count(measures, rows, name)
        first, *_ = truth = sent(rows, name)
        assert measures[first]["mean"] >= mean(truth[first]), "expected no time before it was sent"
        for what, true in truth.items():
            least[what] = min(abs(measures[what]["p50"] / median(true) - 1), least.get(what, 1))
        if all(error <= WITHIN for error in least.values()):
            return
    pytest.fail(f"expected medians within {WITHIN:.0%}, got {least}")


def measured(run: Path, name: str, url: str) -> dict[str, Any]:
    """Run `otel-llm perf` in this process, which takes a tenth of the time, and return its measures."""
    options = {
        "url": url, "protocol": name, "model": "m", "prompt": "hi", "number": REQUESTS, "parallel": REQUESTS,
        "name": str(run), "json": str(run.with_suffix(".json")), **owed(name),
    }  # fmt: skip
    assert main(["perf", *words_of(options)]) == 0
    report = json.loads(run.with_suffix(".json").read_text())
    assert report["requests"]["succeeded"] == REQUESTS
    measures: dict[str, Any] = report["measures"]
    return measures


def count(measures: dict[str, Any], rows: list[dict[str, Any]], name: str) -> None:
    """Compare what was counted with what was sent."""
    protocol = load_protocol(name)
    made = TOKENS if protocol.streams or protocol.finishes else 0
    tokens = 0 if name in WITHOUT_TOKENS else made
    timed = tokens if protocol.streams else 0
    assert [row["tokens"] for row in rows] == [made] * REQUESTS
    assert measures["time_to_first_token"]["count"] == (REQUESTS if timed else 0)
    assert measures["inter_token_latency"]["count"] == REQUESTS * max(timed - 1, 0)
    assert measures["output_tokens"]["count"] == (REQUESTS if tokens else 0)
    assert measures["output_tokens"]["mean"] == (tokens or None)


def sent(rows: list[dict[str, Any]], name: str) -> dict[str, list[float]]:
    """Return each measure by the server's log, in seconds for each request: its first piece, and the gaps behind it."""
    if not load_protocol(name).streams:
        return {"request_latency": [row["w"][-1][0] / 1e9 for row in rows]}
    gap = "inter_chunk_latency" if name in WITHOUT_TOKENS else "inter_token_latency"
    moments = [token_moments(row["w"]) for row in rows]
    return {
        WITHOUT_TOKENS.get(name, "time_to_first_token"): [each[0] / 1e9 for each in moments],
        gap: [(later - before) / 1e9 for each in moments for before, later in pairwise(each)],
    }


def token_moments(writes: list[list[int]]) -> list[int]:
    """Return when each write began that brought tokens, in ns after the request."""
    before = [0, *(tokens for _, _, tokens, _ in writes)]
    return [began for (began, _, tokens, _), had in zip(writes, before, strict=False) if tokens > had]
