"""The comparison with other load generators: what it reads, counts and leaves out. None of them is needed here."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers.aiperf import _said
from benchmarks.peers.environments import ENVIRONMENTS
from benchmarks.peers.limits import bad_share, true_limit
from benchmarks.peers.truth import truth_of
from tools.engines import ENGINES
from tools.environments import Environment

ROOT = Path(__file__).parent.parent


def python(*words: str, cache: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"XDG_CACHE_HOME": str(cache)}
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=env, capture_output=True, text=True, timeout=100)


def test_what_is_not_installed_is_one_line(tmp_path: Path) -> None:
    run = python("-m", "benchmarks.peers", cache=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout == ("not installed: evalscope, guidellm, aiperf, inference-perf; make bench-peers makes them\n")


def test_a_name_that_is_no_tools_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    run = python("-m", "benchmarks.peers", "--only", "nobody", cache=tmp_path)
    assert run.returncode == 2
    assert "got 'nobody'" in run.stderr.splitlines()[-1]


def test_the_limit_that_all_are_asked_for_is_that_of_the_queue() -> None:
    """A request waits for all but 15 of those before it, 16 served at a time, and is served itself."""
    random = np.random.default_rng(1)
    for parallel in (1, 20, true_limit(), true_limit() + 1):
        waits = random.gamma(max(parallel - 16, 0) or 1e-9, 0.4 / 16, 200_000)
        late = float((waits + random.exponential(0.4, 200_000) > 1.2).mean())
        assert bad_share(parallel) == pytest.approx(late, abs=0.003)
    assert bad_share(true_limit()) <= 0.1 < bad_share(true_limit() + 1)


def test_ours_and_the_raw_client_are_held_against_what_was_sent(tmp_path: Path) -> None:
    words = ("--only", "raw client", "otel-llm perf", "--load", "5x10x16x3", "--rounds", "1")
    run = python("-m", "benchmarks.peers", *words, cache=tmp_path)
    assert run.returncode == 0, run.stderr
    rows = [line.strip("| ").split(" | ") for line in run.stdout.splitlines() if line.startswith("| ")]
    head, _, raw, ours = rows
    told = {row[0]: dict(zip(head, row, strict=True)) for row in (raw, ours)}
    assert set(told) == {"raw client", "otel-llm perf"}
    assert told["otel-llm perf"]["tokens"] == "all"
    for row in told.values():
        assert row["streams at once"] == "5"
        assert abs(float(row["ITL p50"])) < 5, "half of a gap"


@pytest.mark.parametrize(
    "environment", [*ENVIRONMENTS, *ENGINES.values()], ids=lambda environment: environment.distribution
)
def test_an_environment_is_of_the_version_that_is_asked_for_and_every_package_has_its_hash(
    environment: Environment,
) -> None:
    if environment.program is None:
        wanted = environment.lock.with_suffix(".in").read_text().splitlines()
        asked = next(line.split()[0] for line in wanted if not line.startswith("#"))
        assert asked.endswith(f"=={environment.version}")
    text = environment.lock.read_text()
    pinned = [line for line in text.splitlines() if "==" in line and not line.startswith((" ", "#"))]
    assert text.count("\n    --hash=") >= len(pinned) > 1


def test_another_lock_is_another_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("tools.environments.REQUIREMENTS", tmp_path)
    (tmp_path / "tools").mkdir()
    folders = []
    for rest in ("", "other==1\n"):
        (tmp_path / "tools" / "tool.lock").write_text(f"tool[perf]==1.2 \\\n    --hash=x\n{rest}")
        folders.append(Environment("tools", "tool").folder)
    assert folders[0].name.startswith("tool-1.2-")
    assert folders[0] != folders[1]
    assert not Environment("tools", "tool").installed


def test_the_truth_is_from_arrival_to_the_write_with_the_first_token() -> None:
    ms = 1_000_000
    row = {"recv": 0, "end": 60 * ms, "tokens": 3, "writes": 4,
           "w": [[1 * ms, 0, 0, 1], [20 * ms, 0, 1, 2], [30 * ms, 0, 2, 3], [50 * ms, 0, 3, 4]]}  # fmt: skip
    refused = {"recv": 0, "end": 1, "tokens": 0, "writes": 1, "w": [[1, 0, 0, 1]]}
    truth = truth_of([row, refused])
    assert truth is not None
    assert (truth.requests, truth.tokens, truth.packets) == (1, 3, 4)
    assert truth.ttft_mean == pytest.approx(0.020)
    assert truth.itl_p50 == pytest.approx(0.015)
    assert truth.packets_per_s == pytest.approx(4 / 0.060)
    assert truth_of([refused]) is None


def test_how_late_aiperf_was_stands_in_its_log() -> None:
    line = "07:12:15.230 - EventLoopMonitor - WARNING - Event loop for {} is taking too long to run. Overhead: {}ms\n"
    assert _said("") == ""
    said = _said(line.format("timing_manager", "33.29") + line.format("worker_1", "264.00"))
    assert said == "2 lines in its log, event loop late by up to 264 ms"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere what is left behind is not counted")
def test_what_a_tool_leaves_behind_is_counted_and_does_not_outlive_it(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 1: pass\nprint(time.process_time())"
    leave = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {burn!r}]).pid, flush=True)"
    code = (
        "import sys, pathlib, psutil\n"
        "from benchmarks.peers.running import adopt_orphans, run\n"
        "adopt_orphans()\n"
        f"done = run([sys.executable, '-c', {leave!r}], pathlib.Path(sys.argv[1]))\n"
        "pid, used = done.said.split()\n"
        "assert done.cpu_s >= float(used), done\n"
        "assert not psutil.pid_exists(int(pid))\n"
    )
    run = python("-c", code, str(tmp_path), cache=tmp_path)
    assert run.returncode == 0, run.stderr
