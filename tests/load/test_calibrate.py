"""What a machine can measure: held against a server's own log, kept, and compared with later runs."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_llm.load.commands.calibrate import calibrate
from otel_llm.load.figures.machine_limits import Level, compare_with_levels, load_levels, save_levels
from tests.load.conftest import Perf


def level(rate: float, *, limited: bool = False) -> Level:
    return Level(10, rate, 1e-5, 1e-4, 2e-4, 1e-5, limited, "kernel receive stamps")


def report(rate: float) -> dict:
    return {"duration": 2.0, "client": {"reads": rate * 2}}


def test_a_level_is_held_against_the_servers_own_log() -> None:
    (found,) = calibrate([5])
    assert found.streams == 5
    assert found.clock
    # five streams of a token every 20 ms, less the wait for their first ones
    assert 50 < found.packets_per_s < 300
    # the server's own gaps are 20 ms: an error of half of one would be no measurement
    assert abs(found.itl_p99_error) < 0.010
    assert -0.001 < found.arrival_p50 < 0.010


def test_levels_are_kept_and_compared_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert load_levels() == []
    assert compare_with_levels(report(100), load_levels()) is None
    levels = [level(1000), level(5000), level(9000, limited=True)]
    assert save_levels(levels).is_relative_to(tmp_path)
    assert load_levels() == levels
    assert "at 5,000 this machine measures with" in (compare_with_levels(report(3000), load_levels()) or "")
    assert "is more than the 5,000" in (compare_with_levels(report(8000), load_levels()) or "")


def test_a_run_says_how_it_compares(perf: Callable[..., Perf], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    save_levels([level(1e9)])
    from otel_llm.sim import Behaviour, SimServer

    with SimServer(Behaviour(itl_ms=2, tokens=8)) as sim:
        arguments = ["--url", f"{sim.url}/v1/chat/completions", "--model", "m", "--prompt", "x"]
        run = perf(*arguments, env=os.environ | {"XDG_STATE_HOME": str(tmp_path)})
    assert "calibrated: " in run.out
