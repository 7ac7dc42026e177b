"""Prefill and decode by the lengths of requests: the slopes, their intervals, and what cannot be told."""

import json
from pathlib import Path

import numpy as np
import pytest

from otel_llm.cli import main
from otel_llm.load.study.phases import phases_lines, phases_of
from otel_llm.measures import Floats
from tests.load.test_python_api import url
from tests.truthserver.process import TruthServer

PREFILL_S, DECODE_S, FIXED_S = 0.0002, 0.008, 0.02


def requests(count: int, random: np.random.Generator, spread: float = 0.6) -> Floats:
    """Requests of a server that takes longer, and scatters more, the longer they are."""
    prompt, output = (np.round(mean * random.lognormal(0, spread, count)) + 1 for mean in (500, 60))
    first = FIXED_S + PREFILL_S * prompt * random.uniform(0.7, 1.3, count)
    decode = DECODE_S * (output - 1) * random.uniform(0.8, 1.2, count)
    return np.stack([prompt, output, first, first + decode], axis=1)


def test_slopes_lie_in_their_intervals_as_often_as_these_say() -> None:
    held = {"prefill": 0, "decode": 0}
    for seed in range(200):
        phases = phases_of(1, requests(200, np.random.default_rng(seed)))
        for name, true in (("prefill", PREFILL_S), ("decode", DECODE_S)):
            low, high = phases[name]["ci95"]
            held[name] += low <= true <= high
            assert high / low < 1.2
    assert min(held.values()) >= 180, held


def test_shares_are_of_the_mean_latency() -> None:
    rows = requests(4000, np.random.default_rng(7))
    phases, mean = phases_of(1, rows), rows[:, 3].mean()
    assert phases["prefill"]["share"] == pytest.approx(PREFILL_S * rows[:, 0].mean() / mean, rel=0.03)
    assert phases["decode"]["share"] == pytest.approx(DECODE_S * (rows[:, 1] - 1).mean() / mean, rel=0.03)
    (line,) = phases_lines(phases, "parallel")
    assert line.startswith("of a request at 1 in parallel: 1")
    assert "% prefill (0.2 ms, 95 % 0.1" in line
    assert "% decode (8" in line or "% decode (7.9" in line


@pytest.mark.parametrize(
    ("rows", "prefill", "decode"),
    [
        (np.empty((0, 4)), "at least 40 requests", "at least 40 requests"),
        (requests(39, np.random.default_rng(1)), "at least 40 requests", "at least 40 requests"),
        (requests(400, np.random.default_rng(1), 0.01), "prompts are of nearly", "answers are of nearly"),
        (np.column_stack([requests(400, np.random.default_rng(1))[:, :2], np.ones(400), np.full(400, 2)]),
         "longer prompts did not take longer", "longer answers did not take longer"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused(rows: Floats, prefill: str, decode: str) -> None:
    phases = phases_of(1, rows)
    assert phases["prefill"]["refused"].startswith(prefill)
    assert phases["decode"]["refused"].startswith(decode)
    assert phases_lines(phases, "rate") == []


def test_a_sweep_tells_the_time_of_a_token_from_answers_of_different_lengths(
    truth: TruthServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the verdict on the points: on a busy machine this client may be the limit."""
    monkeypatch.setattr("otel_llm.load.study.rows.verdict_of_run", lambda _: "ok")
    words = [
        "sweep", "--parallel", "1", "4", "-n", "60", "--url", url(truth, "ttft_ms=5;itl_ms=8;tokens=0"),
        "--model", "m", "--prompt", "hi", "--output-tokens", "uniform:2..14", "--name", str(tmp_path / "s.db"),
        "--json", str(tmp_path / "s.json"),
    ]  # fmt: skip
    assert main(words) == 0
    phases = json.loads((tmp_path / "s.json").read_text())["model"]["phases"]
    assert phases["load"] == 1
    assert phases["decode"]["ci95"][0] < 0.0082
    assert phases["decode"]["per_token"] == pytest.approx(0.008, rel=0.15)
    assert phases["prefill"]["refused"] == "prompts are of nearly the same length"
    assert "of a request at 1 in parallel: " in capsys.readouterr().out
